//! States that are declared wrongly, and runs that fail.

use super::models::*;
use super::onto::Onto;
use gristmill::graph::{Builder, Dim};
use gristmill::internals::ops::reduce::{Reduction, reduce};
use gristmill::internals::ops::tensor_scatter::tensor_scatter;
use gristmill::internals::ops::{concat, elementwise};
use gristmill::{DType, ErrorKind, Gpu, KernelEvent, Model, Options, Power, Progress, Session, SessionState, Tensor, TensorType};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn zeros(shape: &[usize]) -> Tensor {
    Tensor::zeros(TensorType::new(DType::F32, shape))
}

#[test]
fn wrong_declarations_are_named() {
    let message = |b: Builder| refused(b.finish()).1;
    let mut b = Builder::new("unwritten");
    b.state("h", zeros(&[4]));
    assert_eq!(message(b), "state `h` is never written");
    let mut b = Builder::new("twice");
    let h = b.state("h", zeros(&[4]));
    b.write_state("h", h).expect("it is written once");
    assert_eq!(refused(b.write_state("h", h)).1, "state `h` is written twice");
    assert_eq!(refused(b.write_state("g", h)).1, "state `g` is not declared");
    let mut b = Builder::new("shared");
    let (h, g) = (b.state("h", zeros(&[4])), b.state("g", zeros(&[4])));
    let sum = b.node("sum", add(), &[Some(h), Some(g)]);
    b.write_state("h", sum).expect("it is written once");
    b.write_state("g", sum).expect("it is written once");
    assert_eq!(message(b), "state `g` is written by an output that writes another state");
}

#[test]
fn wrong_pairs_are_named() {
    let mut b = Builder::new("pairs");
    let dims = [Dim::Known(1), Dim::Known(4)];
    let [x, h] = ["x", "h"].map(|name| b.input(name, DType::F32, &dims));
    let k = b.input("k", DType::I32, &dims);
    let y = b.node("y", add(), &[Some(x), Some(h)]);
    let z = b.node("z", add(), &[Some(k), Some(k)]);
    b.output("y", y).expect("the name is its own");
    b.output("z", z).expect("the name is its own");
    let model = finish(b);
    let said = |pairs: &[(&str, &str)]| {
        let (kind, message) = refused(model.with_states(pairs));
        assert_eq!(kind, ErrorKind::InvalidArgument);
        message
    };
    assert_eq!(said(&[("w", "h")]), "state of output `w` and input `h`: the model has no output `w`");
    assert_eq!(said(&[("x", "h")]), "state of output `x` and input `h`: the model has no output `x`");
    assert_eq!(said(&[("y", "w")]), "state of output `y` and input `w`: the model has no input `w`");
    assert_eq!(said(&[("y", "y")]), "state of output `y` and input `y`: the model has no input `y`");
    assert_eq!(said(&[("y", "h"), ("y", "x")]), "state of output `y` and input `x`: one of them is paired already");
    assert_eq!(said(&[("y", "h"), ("z", "h")]), "state of output `z` and input `h`: one of them is paired already");
    assert_eq!(said(&[("z", "h")]), "state of output `z` and input `h`: the input is f32, the output i32");
    let paired = model.with_states(&[("y", "h")]).expect("they fit");
    assert_eq!(refused(paired.with_states(&[("z", "h")])).0, ErrorKind::InvalidArgument);
    assert_eq!(paired.graph().states()[0].name, "h");
    assert!(paired.graph().to_string().contains("state h: h from y"), "{}", paired.graph());
}

#[test]
fn extents_that_are_declared_must_hold() {
    let mut b = Builder::new("grows");
    let x = b.input("x", DType::F32, &[Dim::Known(1), Dim::Named("n".into())]);
    let h = b.state("h", zeros(&[1, 64]));
    let next = b.node("next", concat::concat(1), &[Some(h), Some(x)]);
    b.write_state("h", next).expect("it is written once");
    let model = finish(b);
    for session in [on_gpu(&model, Options::default()), on_cpu(&model)] {
        let mut state = start(&session);
        let (one, none) = (zeros(&[1, 1]), zeros(&[1, 0]));
        let failed = session.run_with_blocking(&mut state, &[("x", one.view())]);
        let message = "state `h`: expected f32[1,64], the run writes f32[1,65]";
        assert_eq!(refused(failed), (ErrorKind::InvalidModel, message.into()));
        session.run_with_blocking(&mut state, &[("x", none.view())]).expect("nothing is added");
    }
}

#[test]
fn extents_that_states_and_inputs_share_must_agree() {
    let mut b = Builder::new("shared");
    let [x, past] = ["x", "past"].map(|name| b.input(name, DType::F32, &[Dim::Named("n".into())]));
    let next = b.node("next", add(), &[Some(x), Some(past)]);
    b.output("next", next).expect("the name is its own");
    let model = finish(b).with_states(&[("next", "past")]).expect("they fit");
    for session in [on_gpu(&model, Options::default()), on_cpu(&model)] {
        let mut state = start(&session);
        state.set("past", &zeros(&[3]).view()).expect("it fits");
        let (kind, message) = refused(session.run_with_blocking(&mut state, &[("x", zeros(&[1]).view())]));
        assert!(kind == ErrorKind::InvalidInput && message.contains("n=") && message.contains("`past`"), "{message}");
        session.run_with_blocking(&mut state, &[("x", zeros(&[3]).view())]).expect("they agree");
    }
}

#[test]
fn states_go_with_their_session_alone() {
    let (session, other) = (on_gpu(&total(), Options::default()), on_gpu(&total(), Options::default()));
    let x = Tensor::vector(&[1.0f32; 4]);
    let mut state = start(&other);
    let foreign = session.run_with_blocking(&mut state, &[("x", x.view())]);
    assert_eq!(refused(foreign), (ErrorKind::InvalidArgument, "the states are those of another session".into()));
    assert_eq!(state.runs(), 0);
    for session in [&session, &on_cpu(&total())] {
        let (kind, message) = refused(session.run_blocking(&[("x", x.view())]));
        assert!(kind == ErrorKind::InvalidArgument && message.contains("`state`") && message.contains("run_with"), "{message}");
        let mut own = start(session);
        let given = session.run_with_blocking(&mut own, &[("x", x.view()), ("state", x.view())]);
        assert_eq!(refused(given).0, ErrorKind::InvalidInput, "a state is no input");
    }
}

#[test]
fn a_run_that_fails_leaves_states_as_they_were() {
    for model in [through_host(), interrupted()] {
        for session in [on_gpu(&model, Options::default()), on_cpu(&model)] {
            let mut state = start(&session);
            let (x, large) = (Tensor::vector(&[1.0f32; 4]), Tensor::vector(&[5000.0f32; 4]));
            session.run_with_blocking(&mut state, &[("x", x.view())]).expect("the run succeeds");
            let before = state.get_blocking("state").expect("it is there");
            assert!(refused(session.run_with_blocking(&mut state, &[("x", large.view())])).1.contains("too large to double"));
            assert_eq!(refused(session.run_with_blocking(&mut state, &[])).0, ErrorKind::InvalidInput);
            assert_eq!(state.get_blocking("state").expect("it is there"), before);
            session.run_with_blocking(&mut state, &[("x", x.view())]).expect("the run succeeds");
            assert_ne!(state.get_blocking("state").expect("it is there"), before);
        }
    }
}

#[test]
fn a_run_that_is_never_polled_did_not_happen() {
    let session = on_gpu(&in_place(), Options::default());
    let mut state = start(&session);
    let x = Tensor::vector(&[1.0f32; 4]);
    session.run_with_blocking(&mut state, &[("x", x.view())]).expect("the run succeeds");
    drop(session.run_with(&mut state, &[("x", x.view())]));
    assert_eq!(floats(&state.get_blocking("state").expect("it is there")), [2.0, 3.0, 4.0, 5.0]);
}

/// A session on a device of its own that fails, once it is told to, when a kernel ran for the first time.
fn giving_up(model: &Model) -> (Session, Arc<AtomicBool>) {
    let stop = Arc::new(AtomicBool::new(false));
    let seen = stop.clone();
    let progress = Progress::to(move |event| {
        let stops = matches!(event, KernelEvent::Dispatched { .. }) && seen.load(Ordering::Relaxed);
        assert!(!stops, "the caller gives up");
    });
    let own = Gpu::new_blocking(Power::High).expect("the tests need an adapter");
    let options = Options { progress, ..Options::default() };
    (Session::new_blocking(&own, model, options).expect("the model is sound"), stop)
}

#[test]
fn what_a_run_held_that_ended_half_way_is_lost() {
    let mut b = Builder::new("half_way");
    let x = b.input("x", DType::F32, &[Dim::Named("n".into())]);
    let state = b.state("state", Tensor::vector(&[1.0f32, 2.0, 3.0, 4.0]));
    // Three elements take another kernel than four.
    let negative = b.node("negative", elementwise::unary("Neg").expect("Neg exists"), &[Some(x)]);
    let next = b.node("next", Arc::new(Onto), &[Some(state), Some(negative)]);
    b.write_state("state", next).expect("it is written once");
    let (session, stop) = giving_up(&finish(b));
    let mut state = start(&session);
    let (four, three) = (Tensor::vector(&[1.0f32; 4]), Tensor::vector(&[1.0f32; 3]));
    let run = |state: &mut SessionState, x: &Tensor| session.run_with_blocking(state, &[("x", x.view())]);
    let ends = |state: &mut SessionState, x: &Tensor| {
        stop.store(true, Ordering::Relaxed);
        let ended = catch_unwind(AssertUnwindSafe(|| run(state, x)));
        stop.store(false, Ordering::Relaxed);
        assert!(ended.is_err(), "the run was to end half-way");
    };
    ends(&mut state, &four);
    assert_eq!(floats(&state.get_blocking("state").expect("the host has it still")), [1.0, 2.0, 3.0, 4.0]);
    run(&mut state, &four).expect("the host has it still");
    assert_eq!(floats(&state.get_blocking("state").expect("it is there")), [0.0, 1.0, 2.0, 3.0]);
    ends(&mut state, &three);
    let lost = (ErrorKind::StateLost, "state `state` was lost in run 3; set or reset it".to_string());
    assert_eq!(refused(state.get_blocking("state")), lost);
    assert_eq!(refused(run(&mut state, &three)), lost);
    assert_eq!(refused(run(&mut state, &four)), lost);
    state.reset().expect("it can be reset");
    run(&mut state, &three).expect("the run succeeds");
    assert_eq!(floats(&state.get_blocking("state").expect("it is there")), [0.0, 1.0, 2.0, 4.0]);
}

/// A session on a device that the test may destroy.
fn on_own_device(model: &Model) -> (Gpu, Session) {
    let own = Gpu::new_blocking(Power::High).expect("the tests need an adapter");
    let session = Session::new_blocking(&own, model, Options::default()).expect("the model is sound");
    (own, session)
}

#[test]
fn a_device_takes_states_with_it() {
    for model in [total(), in_place()] {
        let (own, session) = on_own_device(&model);
        let x = Tensor::vector(&[1.0f32; 4]);
        let (mut used, mut fresh) = (start(&session), start(&session));
        for _ in 0..3 {
            session.run_with_blocking(&mut used, &[("x", x.view())]).expect("the run succeeds");
        }
        let snapshot = used.snapshot_blocking().expect("it is there");
        own.device().destroy();
        let lost = (ErrorKind::StateLost, "state `state` was lost in run 3; set or reset it".to_string());
        assert_eq!(refused(used.get_blocking("state")), lost);
        assert_eq!(refused(session.run_with_blocking(&mut used, &[("x", x.view())])), lost);
        assert_eq!(refused(session.run_with_blocking(&mut used, &[("x", x.view())])), lost);
        assert_eq!(refused(used.snapshot_blocking()), lost);
        session.run_with_blocking(&mut fresh, &[("x", x.view())]).expect("the host has it still");
        assert_eq!(floats(&fresh.get_blocking("state").expect("it is there")), [2.0, 3.0, 4.0, 5.0]);
        used.restore(&snapshot).expect("it fits");
        session.run_with_blocking(&mut used, &[("x", x.view())]).expect("it is there again");
        assert_eq!(floats(&used.get_blocking("state").expect("it is there")), [5.0, 6.0, 7.0, 8.0]);
    }
}

/// A cache of four rows of two numbers for each of two batch elements, and a sum of all that was added to it.
fn cached() -> Model {
    let mut b = Builder::new("cached");
    let cache = b.state("cache", zeros(&[2, 4, 2]));
    let total = b.state("total", zeros(&[2, 1, 2]));
    let row = b.input("row", DType::F32, &[Dim::Known(2), Dim::Known(1), Dim::Known(2)]);
    let at = b.input("at", DType::I64, &[Dim::Known(2)]);
    let written = b.node("written", tensor_scatter(1, false), &[Some(cache), Some(row), Some(at)]);
    let sum = b.node("sum", add(), &[Some(total), Some(row)]);
    let seen = b.node("seen", reduce(Reduction::Sum, None, false, false), &[Some(written)]);
    b.write_state("cache", written).expect("it is written once");
    b.write_state("total", sum).expect("it is written once");
    b.output("seen", seen).expect("the name is its own");
    finish(b)
}

#[test]
fn a_position_beyond_the_capacity_leaves_all_states_as_they_were() {
    let model = cached();
    let row = Tensor::new([2, 1, 2], &[1.0f32, 2.0, 3.0, 4.0]).expect("four elements");
    for session in [on_gpu(&model, Options::default()), Session::cpu(&model, Options::default()).expect("the model is sound")] {
        let mut state = session.state().expect("states");
        let mut run = |at: [i64; 2]| {
            let at = Tensor::vector(&at);
            session.run_with_blocking(&mut state, &[("row", row.view()), ("at", at.view())])
        };
        run([3, 0]).expect("there is room");
        for at in [[0, 4], [-1, 2], [1 << 20, 0]] {
            let error = run(at).expect_err("there is no room");
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
            assert!(error.node().is_some_and(|node| node.ends_with(":written")), "{error:?}");
            assert!(error.message().contains("of capacity 4"), "{error}");
        }
        // Nothing of the failed runs is there, also where one of two positions had room.
        let seen = run([0, 1]).expect("there is room");
        assert_eq!(seen["seen"].as_slice::<f32>().expect("floats"), [20.0]);
        let total = state.get_blocking("total").expect("it is there");
        assert_eq!(total.as_slice::<f32>().expect("floats"), [2.0, 4.0, 6.0, 8.0]);
    }
}
