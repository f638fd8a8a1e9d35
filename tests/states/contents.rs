//! What states hold from run to run.

use super::models::*;
use crate::support::gpu;
use gristmill::graph::{Builder, Dim};
use gristmill::internals::ops::reduce::{Reduction, reduce};
use gristmill::internals::ops::{concat, elementwise};
use gristmill::{DType, ErrorKind, Options, Tensor, TensorType, Tolerance};

fn runs() -> Vec<Tensor> {
    (0..5).map(|k| Tensor::vector(&[k as f32, 1.0, -2.0, 0.5 * k as f32])).collect()
}

#[test]
fn states_are_written_in_place_swapped_copied_and_by_the_host() {
    let x = runs();
    for (model, expected) in [
        (total(), &["swapped"][..]),
        (in_place(), &["in place"]),
        (delay(), &["copied", "copied"]),
        (through_host(), &["copied"]),
        (by_host(), &["host"]),
        (interrupted(), &["swapped"]),
    ] {
        for options in [Options::default(), Options { keep_all: true, ..Options::default() }] {
            held_against_references(&model, options, &x);
        }
        let session = on_gpu(&model, Options::default());
        assert_eq!(written(&session, &[("x", x[0].view())]), expected, "{}", model.graph());
    }
    let swapped = Options { variant: Some("onto_whole".into()), ..Options::default() };
    assert_eq!(written(&on_gpu(&in_place(), swapped.clone()), &[("x", x[0].view())]), ["swapped"]);
    held_against_references(&in_place(), swapped, &x);
}

#[test]
fn plans_and_explanations_tell_how_states_are_written() {
    let session = on_gpu(&in_place(), Options::default());
    let x = Tensor::vector(&[1.0f32; 4]);
    let plan = session.plan(&[("x", x.view())]).expect("it can be planned").to_string();
    let line = "state0 state f32[4]: in place, since `Onto:next` is the last that reads the old value";
    assert!(plan.contains(line), "{plan}");
    let explained = session.explain(&[("x", x.ty().clone())]).expect("it can be planned");
    let [state] = explained.states.as_slice() else { panic!("one state, not {:?}", explained.states) };
    assert_eq!((state.name.as_str(), state.bytes, state.written.as_str()), ("state", 16, "in place"));
    assert_eq!(explained.state_bytes, 16);
    let swapped = on_gpu(&total(), Options::default()).explain(&[("x", x.ty().clone())]).expect("it can be planned");
    assert_eq!(swapped.state_bytes, 32);
    assert!(swapped.to_string().contains("swapped, since `Add:next` writes all of it anew"), "{swapped}");
}

#[test]
fn shapes_may_depend_on_what_states_hold() {
    // Few elements make plans by their contents, many make stages.
    for length in [5, 80] {
        let x = [3.0f32, 0.5, 2.0, 0.25, 1.0].map(|last| {
            let mut x = vec![0.0; length];
            x[..3].copy_from_slice(&[1.0, 0.25, last]);
            Tensor::vector(&x)
        });
        held_against_references(&staged(), Options::default(), &x);
    }
}

#[test]
fn a_third_run_makes_nothing() {
    for model in [total(), in_place(), delay()] {
        let session = on_gpu(&model, Options::default());
        let mut state = start(&session);
        let x = Tensor::vector(&[1.0f32; 4]);
        let mut run = || {
            session.run_with_blocking(&mut state, &[("x", x.view())]).expect("the run succeeds");
            session.counters()
        };
        run();
        let second = run();
        assert_eq!([run(), run(), run()], [second; 3], "{}", model.graph().name());
    }
}

#[test]
fn many_states_are_independent() {
    let session = on_gpu(&total(), Options::default());
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let session = &session;
            scope.spawn(move || {
                let mut states: Vec<_> = (0..4).map(|_| start(session)).collect();
                for round in 0..6 {
                    for (k, state) in states.iter_mut().enumerate() {
                        let x = Tensor::vector(&[(thread * 4 + k) as f32; 4]);
                        let out = session.run_with_blocking(state, &[("x", x.view())]).expect("the run succeeds");
                        let sum = |start: f32| start + (round * (thread * 4 + k)) as f32;
                        assert_eq!(floats(&out["before"]), [1.0, 2.0, 3.0, 4.0].map(sum));
                    }
                }
            });
        }
    });
    assert_eq!(session.counters().plans, 1);
}

#[test]
fn contents_are_read_set_reset_and_restored() {
    for session in [on_gpu(&total(), Options::default()), on_cpu(&total())] {
        assert_eq!(session.states()[0].name, "state");
        assert_eq!((session.inputs().len(), session.outputs()), (1, vec!["before".to_string()]));
        let mut state = start(&session);
        let get = |state: &gristmill::SessionState| floats(&state.get_blocking("state").expect("it is there"));
        let x = Tensor::vector(&[1.0f32; 4]);
        assert_eq!(get(&state), [1.0, 2.0, 3.0, 4.0]);
        session.run_with_blocking(&mut state, &[("x", x.view())]).expect("the run succeeds");
        assert_eq!((get(&state), state.runs()), (vec![2.0, 3.0, 4.0, 5.0], 1));
        let snapshot = state.snapshot_blocking().expect("it is there");
        state.set("state", &Tensor::vector(&[7.0f32; 4]).view()).expect("it fits");
        session.run_with_blocking(&mut state, &[("x", x.view())]).expect("the run succeeds");
        assert_eq!(get(&state), [8.0; 4]);
        state.restore(&snapshot).expect("it fits");
        assert_eq!(get(&state), [2.0, 3.0, 4.0, 5.0]);
        state.reset().expect("it can be reset");
        session.run_with_blocking(&mut state, &[("x", x.view())]).expect("the run succeeds");
        assert_eq!(get(&state), [2.0, 3.0, 4.0, 5.0]);
        let mut other = start(&session);
        other.restore(&snapshot).expect("it fits");
        assert_eq!(get(&other), [2.0, 3.0, 4.0, 5.0]);
        let wrong = other.set("state", &Tensor::vector(&[7.0f32; 3]).view());
        assert_eq!(refused(wrong), (ErrorKind::InvalidInput, "state `state`: expected shape [4], found [3]".into()));
        assert_eq!(refused(other.set("state", &Tensor::vector(&[7i32; 4]).view())).0, ErrorKind::InvalidInput);
        assert_eq!(refused(other.set("x", &x.view())).0, ErrorKind::InvalidArgument);
        assert_eq!(get(&other), [2.0, 3.0, 4.0, 5.0]);
    }
}

#[test]
fn plans_of_several_shapes_share_states() {
    let mut b = Builder::new("rows");
    let x = b.input("x", DType::F32, &[Dim::Named("n".into()), Dim::Known(4)]);
    let state = b.state("state", Tensor::vector(&[0.0f32; 4]));
    let sum = b.node("sum", reduce(Reduction::Sum, Some(vec![0]), false, false), &[Some(x)]);
    let next = b.node("next", add(), &[Some(state), Some(sum)]);
    b.write_state("state", next).expect("it is written once");
    let model = finish(b);
    let rows: Vec<Tensor> = [1, 3, 2, 1, 3, 3, 1].map(|n| Tensor::new([n, 4], &vec![n as f32; 4 * n]).expect("it fits")).into();
    held_against_references(&model, Options::default(), &rows);
}

#[test]
fn open_extents_may_grow_once_they_are_set() {
    for session in [on_gpu(&growing(), Options::default()), on_cpu(&growing())] {
        let mut state = start(&session);
        let x = Tensor::new([2, 2], &[1.0f32, 2.0, 3.0, 4.0]).expect("it fits");
        let unset = session.run_with_blocking(&mut state, &[("x", x.view())]);
        let message = "state `past` has open extents; set it before the first run";
        assert_eq!(refused(unset), (ErrorKind::InvalidInput, message.into()));
        state.set("past", &Tensor::zeros(TensorType::new(DType::F32, [0, 2])).view()).expect("it fits");
        for run in 1..8 {
            let out = session.run_with_blocking(&mut state, &[("x", x.view())]).expect("the run succeeds");
            assert_eq!(floats(&out["y"]), [4.0 * run as f32, 6.0 * run as f32]);
            assert!(out.get("present").is_none());
            assert_eq!(state.get_blocking("past").expect("it is there").shape()[..], [2 * run, 2]);
        }
        state.reset().expect("it can be reset");
        assert_eq!(refused(state.get_blocking("past")).0, ErrorKind::InvalidInput);
    }
}

#[test]
fn states_of_every_type_last() {
    for dtype in [DType::I64, DType::F64, DType::I32, DType::F16, DType::U8] {
        let mut b = Builder::new("typed");
        let x = b.input("x", dtype, &[Dim::Known(3)]);
        let start = Tensor::from_f64(TensorType::new(dtype, [3]), &[1.0, 2.0, 3.0]).expect("it fits");
        let state = b.state("state", start);
        let next = b.node("next", add(), &[Some(state), Some(x)]);
        b.write_state("state", next).expect("it is written once");
        let x = Tensor::from_f64(TensorType::new(dtype, [3]), &[1.0, 0.0, 4.0]).expect("it fits");
        held_against_references(&finish(b), Options::default(), &vec![x; 5]);
    }
    // A count beyond what is assumed of 64-bit integers.
    let mut b = Builder::new("count");
    let x = b.input("x", DType::I64, &[]);
    let state = b.state("state", Tensor::scalar((1i64 << 24) - 1));
    let next = b.node("next", add(), &[Some(state), Some(x)]);
    b.write_state("state", next).expect("it is written once");
    held_against_references(&finish(b), Options::default(), &vec![Tensor::scalar(1i64 << 30); 5]);
}

#[test]
fn states_are_tapped_returned_and_validated() {
    let tapped = Options { taps: vec!["next".into(), "state".into()], ..Options::default() };
    let session = on_gpu(&total(), tapped);
    assert_eq!(session.outputs(), ["before", "next", "state"]);
    held_against_references(&total(), Options { taps: vec!["next".into(), "state".into()], ..Options::default() }, &runs());
    let x = Tensor::vector(&[1.0f32; 4]);
    let mut state = start(&session);
    let out = session.run_with_blocking(&mut state, &[("x", x.view())]).expect("the run succeeds");
    assert_eq!((floats(&out["next"]), floats(&out["state"])), (vec![2.0, 3.0, 4.0, 5.0], vec![1.0, 2.0, 3.0, 4.0]));
    for model in [total(), in_place(), delay(), through_host()] {
        let session = on_gpu(&model, Options::default());
        let validated = session.validate_blocking(&[("x", x.view())], Tolerance::default()).expect("the runs succeed");
        assert!(validated.passed(), "{validated:?}");
        assert!(validated.outputs.len() >= session.states().len(), "{:?}", validated.outputs);
    }
}

#[test]
fn a_state_that_is_dropped_frees_its_memory() {
    let mut b = Builder::new("large");
    let state = b.state("state", Tensor::zeros(TensorType::new(DType::F32, [1 << 22])));
    let one = b.constant("one", Tensor::scalar(1.0f32));
    let next = b.node("next", add(), &[Some(state), Some(one)]);
    b.write_state("state", next).expect("it is written once");
    let session = on_gpu(&finish(b), Options::default());
    let allocated = || {
        gpu().device().poll(wgpu::PollType::wait_indefinitely()).expect("the device answers");
        gpu().device().generate_allocator_report().map(|report| report.total_allocated_bytes)
    };
    let mut kept = start(&session);
    session.run_with_blocking(&mut kept, &[]).expect("the run succeeds");
    let Some(before) = allocated() else { return };
    let mut state = start(&session);
    for _ in 0..3 {
        session.run_with_blocking(&mut state, &[]).expect("the run succeeds");
    }
    let during = allocated().expect("it was told before");
    assert!(during >= before + (32 << 20), "{during} after {before}");
    drop(state);
    assert_eq!(allocated(), Some(before));
}

#[test]
fn concatenated_caches_need_no_other_model() {
    // A window of the last rows: the state keeps its shape though it is made by Concat and Slice.
    let model = keeping("window", |b, state, x| {
        let both = b.node("both", concat::concat(0), &[Some(state), Some(x)]);
        let [start, end] = [2i64, 6].map(|at| b.constant("at", Tensor::vector(&[at])));
        let next = b.node("next", gristmill::internals::ops::slice::slice(), &[Some(both), Some(start), Some(end)]);
        let y = b.node("y", elementwise::unary("Neg").expect("Neg exists"), &[Some(next)]);
        b.output("y", y).expect("the name is its own");
        next
    });
    held_against_references(&model, Options::default(), &runs());
}
