//! Loops and branches as stages of a run: what they make, what is wrong with them, and how they end. Numbers are held against numpy in
//! `tests/imports`, against plain arithmetic in `tests/cases/flow.rs`.

use crate::support::gpu;
use gristmill::graph::{Builder, Dim, ValueId};
use gristmill::internals::graph::Body;
use gristmill::{DType, ErrorKind, Gpu, Model, Options, Power, Session, Tensor, TensorType, TensorView, operators};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// A body of the inputs turn, condition and `given` (names and types), whose outputs `write` gives, the condition first.
fn body(
    given: &[(&str, DType, Option<&[Dim]>)],
    captured: &[usize],
    write: impl FnOnce(&mut Builder, &[ValueId]) -> Vec<ValueId>,
) -> Body {
    let mut b = Builder::new("body");
    let mut inputs = vec![b.input("turn", DType::I64, &[]), b.input("condition", DType::Bool, &[])];
    inputs.extend(given.iter().map(|(name, dtype, dims)| b.declare(name, *dtype, dims.map(<[Dim]>::to_vec))));
    for (k, output) in write(&mut b, &inputs).into_iter().enumerate() {
        let output = b.node(&format!("output.{k}"), operators::identity(), &[Some(output)]);
        b.output(&format!("output.{k}"), output).expect("the name is free");
    }
    Body { graph: Arc::new(b.finish().expect("a valid graph")), inputs: captured.to_vec() }
}

/// `y = 2 * x`, then a loop named `around` over inputs `n`, `go` and `y`, and whatever else the graph has.
fn model(body: Body, carried: usize, scans: usize, more: &[&str]) -> Model {
    let mut b = Builder::new("model");
    let count = b.input("n", DType::I64, &[]);
    let going = b.input("go", DType::Bool, &[]);
    let x = b.input("x", DType::F32, &[Dim::Unknown]);
    let y = b.node("y", operators::binary("Add").expect("a function"), &[Some(x), Some(x)]);
    let mut inputs = vec![Some(count), Some(going), Some(y)];
    inputs.extend(more.iter().map(|name| Some(b.input(name, DType::F32, &[Dim::Unknown]))));
    let outputs: Vec<ValueId> = (0..body.graph.outputs().len() - 1).map(|k| b.value(&format!("out{k}"), None)).collect();
    b.push("around", operators::repeat(body, carried, scans), inputs, outputs.iter().copied().map(Some).collect());
    for (k, output) in outputs.into_iter().enumerate() {
        b.output(&format!("out{k}"), output).expect("the name is free");
    }
    Model::from_graph(b.finish().expect("a valid graph"))
}

/// Adds the second input to the first, for ever or as long as the condition says.
fn adding(for_ever: bool) -> Body {
    body(&[("h", DType::F32, None), ("x", DType::F32, None)], &[2], |b, inputs| {
        let sum = b.node("sum", operators::binary("Add").expect("a function"), &[Some(inputs[2]), Some(inputs[3])]);
        let goes_on = b.constant("goes_on", Tensor::scalar(true));
        vec![if for_ever { goes_on } else { inputs[1] }, sum]
    })
}

fn session(model: &Model, options: Options) -> Session {
    Session::new_blocking(gpu(), model, options).expect("a session")
}

fn run(session: &Session, n: i64, go: bool, x: &[f32], more: &[(&str, &[f32])]) -> gristmill::Result<Vec<Tensor>> {
    let (n, go, x) = (Tensor::scalar(n), Tensor::scalar(go), Tensor::vector(x));
    let more: Vec<(&str, Tensor)> = more.iter().map(|(name, data)| (*name, Tensor::vector(data))).collect();
    let mut inputs: Vec<(&str, TensorView<'_>)> = vec![("n", n.view()), ("go", go.view()), ("x", x.view())];
    inputs.extend(more.iter().map(|(name, tensor)| (*name, tensor.view())));
    Ok(session.run_blocking(&inputs)?.iter().map(|(_, tensor)| tensor.clone()).collect())
}

fn floats(tensor: &Tensor) -> &[f32] {
    tensor.as_slice().expect("floats")
}

#[test]
fn a_loop_without_end_is_stopped() {
    let model = model(adding(true), 1, 0, &[]);
    let limited = session(&model, Options { max_turns: 25, ..Options::default() });
    let error = run(&limited, i64::MAX, true, &[1.0], &[]).expect_err("it has no end");
    assert_eq!((error.kind(), error.node()), (ErrorKind::Limit, Some("Loop:around")));
    assert!(error.message().contains("25 turns"), "{error}");
    // One that ends by then is left alone.
    assert_eq!(floats(&run(&limited, 25, true, &[1.0], &[]).expect("it ends")[0]), [52.0]);
}

#[test]
fn dropping_a_run_ends_its_loop() {
    let model = model(adding(true), 1, 0, &[]);
    let session = session(&model, Options::default());
    let (n, go, x) = (Tensor::scalar(i64::MAX), Tensor::scalar(true), Tensor::vector(&[1.0f32]));
    {
        let inputs = [("n", n.view()), ("go", go.view()), ("x", x.view())];
        let mut endless = pin!(session.run(&inputs));
        let mut context = Context::from_waker(Waker::noop());
        let polled = (0..20).filter(|_| matches!(endless.as_mut().poll(&mut context), Poll::Pending)).count();
        assert_eq!(polled, 20);
    }
    assert_eq!(floats(&run(&session, 3, true, &[1.0], &[]).expect("the session goes on")[0]), [8.0]);
}

#[test]
fn what_is_carried_keeps_its_dtype_and_rank() {
    let cast = body(&[("h", DType::F32, None)], &[], |b, inputs| {
        vec![inputs[1], b.node("cast", operators::cast(DType::I32).expect("a dtype"), &[Some(inputs[2])])]
    });
    let deeper = body(&[("h", DType::F32, None)], &[], |b, inputs| {
        let axis = b.constant("axis", Tensor::vector(&[0i64]));
        vec![inputs[1], b.node("deeper", operators::unsqueeze(), &[Some(inputs[2]), Some(axis)])]
    });
    for (body, found) in [(cast, "carried value 0 is f32[2] before a turn and i32[2] after it"), (deeper, "f32[1,2] after it")] {
        let model = model(body, 1, 0, &[]);
        for session in [session(&model, Options::default()), Session::cpu(&model, Options::default()).expect("a session")] {
            let error = run(&session, 50, true, &[1.0, 2.0], &[]).expect_err("it changes");
            assert_eq!((error.kind(), error.node()), (ErrorKind::InvalidModel, Some("Loop:around")), "{error}");
            assert!(error.message().contains(found), "{error}");
        }
    }
}

#[test]
fn scan_inputs_are_of_one_length() {
    let body = body(&[("h", DType::F32, None), ("a", DType::F32, None), ("b", DType::F32, None)], &[], |b, inputs| {
        let sum = b.node("sum", operators::binary("Add").expect("a function"), &[Some(inputs[2]), Some(inputs[3])]);
        let more = b.node("more", operators::binary("Add").expect("a function"), &[Some(sum), Some(inputs[4])]);
        vec![inputs[1], more]
    });
    let model = model(body, 1, 2, &["a", "b"]);
    for session in [session(&model, Options::default()), Session::cpu(&model, Options::default()).expect("a session")] {
        let error = run(&session, 9, true, &[1.0], &[("a", &[1.0, 2.0]), ("b", &[1.0, 2.0, 3.0])]).expect_err("they differ");
        assert_eq!((error.kind(), error.node()), (ErrorKind::InvalidInput, Some("Loop:around")), "{error}");
        assert!(error.message().contains("scan input 1 has 3 slices, but scan input 0 has 2"), "{error}");
        // Those that are alike end the loop before the count does.
        let out = run(&session, 9, true, &[1.0], &[("a", &[1.0, 2.0]), ("b", &[10.0, 20.0])]).expect("they are alike");
        assert_eq!(floats(&out[0]), [35.0]);
    }
}

#[test]
fn a_condition_is_one_bool() {
    let body = body(&[("h", DType::F32, None)], &[], |_, inputs| vec![inputs[2], inputs[2]]);
    let model = model(body, 1, 0, &[]);
    for session in [session(&model, Options::default()), Session::cpu(&model, Options::default()).expect("a session")] {
        let error = run(&session, 30, true, &[1.0], &[]).expect_err("a float is no condition");
        assert_eq!((error.kind(), error.node()), (ErrorKind::InvalidModel, Some("Loop:around")), "{error}");
        assert!(error.message().contains("Loop takes a condition of one bool, found f32[1]"), "{error}");
    }
}

#[test]
fn a_warm_loop_makes_nothing() {
    let rows = body(&[("h", DType::F32, None), ("x", DType::F32, None)], &[2], |b, inputs| {
        let sum = b.node("sum", operators::binary("Add").expect("a function"), &[Some(inputs[2]), Some(inputs[3])]);
        vec![inputs[1], sum, sum]
    });
    let model = model(rows, 1, 0, &[]);
    // Sessions on one device lend each other buffers; this one is alone.
    let alone = Gpu::new_blocking(Power::High).expect("an adapter");
    let session = Session::new_blocking(&alone, &model, Options { strict_gpu: true, ..Options::default() }).expect("a session");
    let once = |n: i64| {
        let out = run(&session, n, true, &[1.0, 2.0], &[]).expect("it runs");
        assert_eq!(floats(&out[0]), [2.0 * (n + 1) as f32, 4.0 * (n + 1) as f32]);
        assert_eq!(out[1].shape().to_vec(), [n as usize, 2]);
    };
    once(40);
    once(40);
    let warm = session.counters();
    for n in [40, 33, 40] {
        once(n);
    }
    assert_eq!(session.counters(), warm, "turns that are like those of an earlier run need nothing new");
}

#[test]
fn stages_are_explained() {
    let session = session(&model(adding(true), 1, 0, &[]), Options::default());
    let ty = |dtype, shape: &[usize]| TensorType::new(dtype, shape);
    let inputs = [("n", ty(DType::I64, &[])), ("go", ty(DType::Bool, &[])), ("x", ty(DType::F32, &[5]))];
    let explanation = session.explain(&inputs).expect("it is explained");
    assert_eq!(explanation.steps.len(), 1, "{explanation}");
    let [stage] = explanation.stages.as_slice() else { panic!("one stage: {explanation}") };
    assert_eq!((stage.node.as_str(), stage.after), ("Loop:around", 1));
    let [turn] = stage.bodies.as_slice() else { panic!("one turn: {explanation}") };
    assert_eq!(turn.steps.iter().map(|step| step.operator.as_str()).collect::<Vec<_>>(), ["Add"], "{explanation}");
    assert!(turn.host_nodes.is_empty(), "{explanation}");
}
