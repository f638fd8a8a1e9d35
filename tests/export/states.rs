//! States, defaults, open extents and what is wrong with a graph, in files.

use super::{again, keeps};
use gristmill::graph::{Builder, Dim, Graph};
use gristmill::{DType, ErrorKind, Model, OnnxOptions, Options, Session, Structure, Tensor, operators, train};

/// A running sum that starts from 5, which is returned as well.
fn running(returned: bool) -> Graph {
    let mut b = Builder::new("running");
    let x = b.input("x", DType::F32, &[Dim::Known(2)]);
    let sum = b.state("sum", Tensor::vector(&[5.0f32, 5.0]));
    let next = b.node("next", operators::binary("Add").expect("a function"), &[Some(sum), Some(x)]);
    let y = b.node("y", operators::unary("Neg").expect("a function"), &[Some(next)]);
    b.output("y", y).expect("the name is free");
    if returned {
        b.output("next", next).expect("the name is free");
    }
    b.write_state("sum", next).expect("it is declared");
    b.finish().expect("a valid graph")
}

#[test]
fn states_are_inputs_and_outputs() {
    for (returned, output) in [(false, "next"), (true, "sum.next")] {
        let bytes = running(returned).to_onnx().expect("it has a form");
        let model = Model::from_bytes(&bytes, None).expect("it is a file");
        let names: Vec<&str> = model.graph().inputs().iter().map(|input| model.graph().value(input.value).name.as_str()).collect();
        assert_eq!(names, ["x", "sum"]);
        let model = model.with_states(&[(output, "sum")]).expect("they make a state");
        let session = Session::cpu(&model, Options::default()).expect("a session");
        let mut state = session.state().expect("a state");
        state.set("sum", &Tensor::vector(&[5.0f32, 5.0]).view()).expect("it fits");
        for expected in [-6.0f32, -7.0] {
            let out = session.run_with_blocking(&mut state, &[("x", Tensor::vector(&[1.0f32, 1.0]).view())]).expect("it runs");
            assert_eq!(out["y"].as_slice::<f32>().expect("floats"), [expected, expected]);
        }
    }
}

#[test]
fn states_are_constants_where_that_is_asked_for() {
    let bytes = running(true).to_onnx_with(&OnnxOptions { constant_states: true }).expect("it has a form");
    let model = Model::from_bytes(&bytes, None).expect("it is a file");
    assert_eq!((model.graph().inputs().len(), model.graph().outputs().len()), (1, 2));
    let session = Session::cpu(&model, Options::default()).expect("a session");
    let out = session.run_blocking(&[("x", Tensor::vector(&[1.0f32, 2.0]).view())]).expect("it runs");
    assert_eq!(out["next"].as_slice::<f32>().expect("floats"), [6.0, 7.0]);
}

#[test]
fn open_extents_keep_their_names() {
    let mut b = Builder::new("open");
    let x = b.input("x", DType::F16, &[Dim::Named("n".into()), Dim::Unknown, Dim::Known(3)]);
    let bias = b.value("bias", Some(Tensor::vector(&[1.0f32, 2.0, 3.0])));
    b.default_input(bias, Some(vec![Dim::Known(3)]), 0).expect("it is a constant");
    let wide = b.node("wide", operators::cast(DType::F32).expect("a dtype"), &[Some(x)]);
    let y = b.node("y", operators::binary("Add").expect("a function"), &[Some(wide), Some(bias)]);
    b.output("y", y).expect("the name is free");
    let graph = b.finish().expect("a valid graph");
    let back = Model::from_bytes(&graph.to_onnx().expect("it has a form"), None).expect("it is a file");
    let shown = |graph: &Graph| {
        let inputs =
            graph.declared().into_iter().map(|input| (graph.value(input.value).name.clone(), input.dtype, input.dims.clone()));
        inputs.collect::<Vec<_>>()
    };
    assert_eq!(shown(back.graph()), shown(&graph));
    assert_eq!((back.graph().inputs().len(), back.graph().defaults().len()), (1, 1));
}

#[test]
fn numbers_take_the_type_of_what_they_meet() {
    // What an If makes has no type before it runs.
    let mut b = Builder::new("untyped");
    let x = b.declare("x", DType::F16, None);
    let scaled = b.node("scaled", operators::unary_with("Mul", &[3.0]).expect("a function"), &[Some(x)]);
    let held = b.node("held", operators::clip(Some(-1.5), None).expect("limits"), &[Some(scaled)]);
    let y = b.node("y", operators::variadic("Mean", 2).expect("a function"), &[Some(held), Some(x)]);
    b.output("y", y).expect("the name is free");
    let model = Model::from_graph(b.finish().expect("a valid graph"));
    let halves = Tensor::vector(&[1.0f32, -2.0, 0.1].map(half::f16::from_f32));
    assert_eq!(keeps(&model, &[Structure::Tensor(halves)]).expect("it has a form"), None);
}

#[test]
fn what_has_no_form_is_named() {
    let mut b = Builder::new("learning");
    let x = b.input("x", DType::F32, &[Dim::Known(2)]);
    let y = b.node("y", operators::unary("Exp").expect("a function"), &[Some(x)]);
    let loss = b.node("loss", operators::reduce(operators::Reduction::Sum, Some(vec![0]), false, false), &[Some(y)]);
    b.output("loss", loss).expect("the name is free");
    let logits = b.input("logits", DType::F32, &[Dim::Known(4), Dim::Known(1), Dim::Known(3)]);
    let lengths = b.constant("lengths", Tensor::vector(&[4i64]));
    let labels = b.node("decoded", operators::ctc_greedy_decode(0), &[Some(logits), Some(lengths)]);
    b.output("labels", labels).expect("the name is free");
    let graph = train::with_gradients(&b.finish().expect("a valid graph"), &["loss"], &[], &["x"]).expect("gradients");
    let error = graph.to_onnx().expect_err("there are nodes without a form");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    for path in ["2 of the nodes", "Gradient:", "decoded"] {
        assert!(error.message().contains(path), "{path} in {}", error.message());
    }
}

#[test]
fn an_empty_name_is_no_left_out_argument() {
    let mut b = Builder::new("");
    let x = b.input("x", DType::F32, &[Dim::Known(1)]);
    let inner = b.node("", operators::unary("Neg").expect("a function"), &[Some(x)]);
    let y = b.node("y", operators::unary("Abs").expect("a function"), &[Some(inner)]);
    b.output("y", y).expect("the name is free");
    let model = Model::from_graph(b.finish().expect("a valid graph"));
    again(&model).expect("it comes back");
}
