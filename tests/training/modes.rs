//! Networks as they learn and as they are used: running statistics against PyTorch's rule and numbers, and what becomes of Dropout.

use super::difference;
use super::safetensors::Stored;
use crate::support::gpu;
use gristmill::graph::{Builder, Dim, Graph, ValueId};
use gristmill::operators::{self, Reduction, SlidingWindow};
use gristmill::train::{self, BatchNormalizationStart};
use gristmill::{DType, Model, Options, Session, Tensor};

/// A convolutional network with batch normalization as a program writes it: for training from the start, or at inference.
fn network(stored: &Stored, learns: bool) -> Graph {
    let mut b = Builder::new("batchnorm_cnn");
    let init = |name: &str| stored.tensor(&format!("init.{name}")).expect("a parameter");
    let input = stored.tensor("data.input").expect("a batch");
    let mut dims: Vec<Dim> = input.shape().iter().map(|extent| Dim::Known(*extent)).collect();
    dims[0] = Dim::Named("n".into());
    let mut value = b.input("input", DType::F32, &dims);
    for (number, stride, pad) in [(1, 1, 1), (2, 2, 0)] {
        let weight = format!("conv{number}.weight");
        let weight = b.constant(&weight, init(&weight));
        let window = SlidingWindow { strides: vec![stride; 2], pads: vec![pad; 4], ..SlidingWindow::default() };
        let convolved = b.node(&format!("conv{number}"), operators::conv(window, 1), &[Some(value), Some(weight)]);
        b.output(&format!("conv{number}"), convolved).expect("the name is free");
        let normal = normalized(&mut b, convolved, &format!("bn{number}"), &init, learns);
        value = b.node(&format!("relu{number}"), operators::unary("Relu").expect("a function"), &[Some(normal)]);
    }
    let mean = operators::reduce(Reduction::Mean, Some(vec![2, 3]), false, false);
    let mean = b.node("mean", mean, &[Some(value)]);
    let weight = b.constant("fc.weight", init("fc.weight"));
    let weight = b.node("fc.transposed", operators::transpose(Some(vec![1, 0])), &[Some(weight)]);
    let product = b.node("fc.product", operators::matmul(), &[Some(mean), Some(weight)]);
    let bias = b.constant("fc.bias", init("fc.bias"));
    let out = b.node("fc", operators::binary("Add").expect("a function"), &[Some(product), Some(bias)]);
    b.output("prediction", out).expect("the name is free");
    b.finish().expect("a valid graph")
}

fn normalized(b: &mut Builder, input: ValueId, name: &str, init: &dyn Fn(&str) -> Tensor, learns: bool) -> ValueId {
    let part = |part: &str| format!("{name}.{part}");
    let [scale, bias] = ["weight", "bias"].map(|of| b.constant(&part(of), init(&part(of))));
    let [mean, variance] = ["running_mean", "running_var"].map(|of| init(&part(of)));
    if learns {
        let start = BatchNormalizationStart { mean, variance, epsilon: 1e-5, momentum: 0.1 };
        return train::batch_normalization(b, name, [input, scale, bias], start).expect("its states are new");
    }
    let mean = b.constant(&part("running_mean"), mean);
    let variance = b.constant(&part("running_var"), variance);
    b.node(name, operators::batch_normalization(1e-5), &[input, scale, bias, mean, variance].map(Some))
}

fn session(graph: Graph, on_device: bool) -> Session {
    let model = Model::from_graph(graph);
    match on_device {
        true => Session::new_blocking(gpu(), &model, Options::default()),
        false => Session::cpu(&model, Options::default()),
    }
    .expect("a session")
}

/// Mean and unbiased variance of each channel.
fn statistics(tensor: &Tensor) -> [Vec<f64>; 2] {
    let (batch, channels) = (tensor.shape()[0], tensor.shape()[1]);
    let inner = tensor.elements() / batch / channels;
    let data = tensor.to_f64();
    let of_channel =
        |c: usize| -> Vec<f64> { (0..batch * inner).map(|k| data[(k / inner * channels + c) * inner + k % inner]).collect() };
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let means: Vec<f64> = (0..channels).map(|c| mean(&of_channel(c))).collect();
    let variance = |c: usize| {
        let values = of_channel(c);
        values.iter().map(|v| (v - means[c]).powi(2)).sum::<f64>() / (values.len() - 1) as f64
    };
    let variances = (0..channels).map(variance).collect();
    [means, variances]
}

fn assert_close(what: &str, found: &Tensor, truth: &[f64]) {
    let truth = Tensor::new([truth.len()], truth).expect("as many elements");
    assert_eq!(difference(found, &truth, 1e-4, 2e-5), None, "{what}");
}

#[test]
fn training_modes_keep_running_statistics_as_pytorch_does() {
    let stored = Stored::open("batchnorm_cnn.safetensors");
    let input = stored.tensor("data.input").expect("a batch");
    let truth = stored.tensor("pred0").expect("a prediction");
    let graphs = [network(&stored, true), train::training(&network(&stored, false)).expect("a graph")];
    for (graph, on_device) in graphs.iter().flat_map(|graph| [(graph, false), (graph, true)]) {
        let names: Vec<&str> = graph.states().iter().map(|state| state.name.as_str()).collect();
        assert_eq!(names, ["bn1.running_mean", "bn1.running_var", "bn2.running_mean", "bn2.running_var"]);
        let session = session(graph.clone(), on_device);
        let mut state = session.state().expect("a state");
        let mut expected: Vec<Vec<f64>> =
            names.iter().map(|name| stored.tensor(&format!("init.{name}")).expect("a buffer").to_f64()).collect();
        for _ in 0..3 {
            let outputs = session.run_with_blocking(&mut state, &[("input", input.view())]).expect("it runs");
            let prediction = outputs.get("prediction").expect("a prediction").to_f64();
            assert_close("prediction", outputs.get("prediction").expect("a prediction"), &truth.to_f64());
            assert_eq!(prediction.len(), truth.elements());
            let batch = ["conv1", "conv2"].map(|name| statistics(outputs.get(name).expect("what is normalised"))).concat();
            for ((expected, batch), name) in expected.iter_mut().zip(batch).zip(&names) {
                expected.iter_mut().zip(batch).for_each(|(old, new)| *old = 0.9 * *old + 0.1 * new);
                assert_close(name, &state.get_blocking(name).expect("it holds something"), expected);
            }
        }
    }
}

#[test]
fn training_modes_turn_into_one_another() {
    let stored = Stored::open("batchnorm_cnn.safetensors");
    let input = stored.tensor("data.input").expect("a batch");
    let inference = network(&stored, false);
    let run = |graph: &Graph, runs: usize| {
        let session = session(graph.clone(), true);
        let mut state = session.state().expect("a state");
        let mut prediction = Vec::new();
        for _ in 0..runs {
            let outputs = session.run_with_blocking(&mut state, &[("input", input.view())]).expect("it runs");
            prediction = outputs.get("prediction").expect("a prediction").to_f64();
        }
        prediction
    };
    let used = run(&inference, 1);
    let learning = train::training(&inference).expect("a graph");
    let evaluated = train::evaluation(&learning).expect("a graph");
    let differ = |a: &[f64], b: &[f64]| a.iter().zip(b).any(|(a, b)| (a - b).abs() > 1e-3);
    assert!(differ(&used, &run(&learning, 1)), "batches have statistics of their own");
    assert!(!differ(&used, &run(&evaluated, 3)), "what is evaluated learns nothing");
    // What was learned is what evaluation reads.
    let session_of = |graph: &Graph| session(graph.clone(), true);
    let (learns, evaluates) = (session_of(&learning), session_of(&evaluated));
    let (mut learned, mut read) = (learns.state().expect("a state"), evaluates.state().expect("a state"));
    learns.run_with_blocking(&mut learned, &[("input", input.view())]).expect("it runs");
    for state in learning.states() {
        let held = learned.get_blocking(&state.name).expect("it holds something");
        read.set(&state.name, &held.view()).expect("it has this state");
    }
    let outputs = evaluates.run_with_blocking(&mut read, &[("input", input.view())]).expect("it runs");
    assert!(differ(&used, &outputs.get("prediction").expect("a prediction").to_f64()));
    let again = train::training(&evaluated).expect("a graph");
    assert!(!differ(&run(&again, 1), &run(&learning, 1)), "what is evaluated may learn again");
    assert_eq!(again.states().len(), 4);
}

#[test]
fn training_modes_refuse_one_value_per_channel() {
    let mut b = Builder::new("one");
    let x = b.input("x", DType::F32, &[Dim::Named("n".into()), Dim::Known(3)]);
    let scale = b.constant("scale", Tensor::vector(&[1.0f32; 3]));
    let bias = b.constant("bias", Tensor::vector(&[0.0f32; 3]));
    let y = train::batch_normalization(&mut b, "norm", [x, scale, bias], BatchNormalizationStart::new(3)).expect("new states");
    b.output("y", y).expect("the name is free");
    let graph = b.finish().expect("a valid graph");
    for on_device in [false, true] {
        let session = session(graph.clone(), on_device);
        let mut state = session.state().expect("a state");
        let (one, two) = (Tensor::new([1, 3], &[1.0f32, 2.0, 3.0]), Tensor::new([2, 3], &[1.0f32, 2.0, 3.0, 3.0, 4.0, 7.0]));
        let error = session.run_with_blocking(&mut state, &[("x", one.expect("a tensor").view())]).expect_err("one value");
        let text = error.to_string();
        assert!(text.contains("more than one value per channel") && text.contains("norm"), "{text}");
        session.run_with_blocking(&mut state, &[("x", two.expect("a tensor").view())]).expect("two values");
        assert_close("mean", &state.get_blocking("norm.running_mean").expect("a mean"), &[0.2, 0.3, 0.5]);
        assert_close("variance", &state.get_blocking("norm.running_var").expect("a variance"), &[1.1, 1.1, 1.7]);
    }
}

#[test]
fn training_modes_drop_nothing_in_evaluation() {
    let mut b = Builder::new("drops");
    let x = b.input("x", DType::F32, &[Dim::Named("n".into())]);
    let key = b.input("dropout_key", DType::I32, &[Dim::Known(2)]);
    let condition = b.input("condition", DType::Bool, &[]);
    let [y, mask] = ["y", "mask"].map(|name| b.value(name, None));
    b.push("drop", operators::dropout(0.5, 0).expect("a ratio"), vec![Some(x), Some(key)], vec![Some(y), Some(mask)]);
    let branch = |drops: bool| {
        let mut b = Builder::new("branch");
        let x = b.input("x", DType::F32, &[Dim::Unknown]);
        let key = b.input("key", DType::I32, &[Dim::Known(2)]);
        let op = if drops { operators::dropout(0.5, 1).expect("a ratio") } else { operators::identity() };
        let z = b.node("z", op, &if drops { vec![Some(x), Some(key)] } else { vec![Some(x)] });
        b.output("z", z).expect("the name is free");
        operators::Body { graph: std::sync::Arc::new(b.finish().expect("a valid graph")), inputs: vec![1, 2] }
    };
    let z = b.node("z", operators::branch(branch(true), branch(false)), &[Some(condition), Some(x), Some(key)]);
    for (name, value) in [("y", y), ("mask", mask), ("z", z)] {
        b.output(name, value).expect("the name is free");
    }
    let graph = b.finish().expect("a valid graph");
    let graph = train::evaluation(&graph).expect("a graph");
    let names: Vec<&str> = graph.inputs().iter().map(|input| graph.value(input.value).name.as_str()).collect();
    assert_eq!(names, ["x", "condition"]);
    let x = Tensor::vector(&[1.0f32; 40]);
    for on_device in [false, true] {
        let session = session(graph.clone(), on_device);
        let outputs = session.run_blocking(&[("x", x.view()), ("condition", Tensor::scalar(true).view())]).expect("it runs");
        for name in ["y", "mask", "z"] {
            assert_eq!(outputs.get(name).expect("an output").to_f64(), vec![1.0; 40], "{name}");
        }
    }
}
