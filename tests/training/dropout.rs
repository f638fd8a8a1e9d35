//! Dropout: what its masks are like, and that gradients, streams and keys do with them as they should.

use crate::properties::idioms::network::{Attribute, Network, Node};
use crate::support::gpu;
use gristmill::graph::{Builder, Dim, Graph};
use gristmill::{DType, Model, Options, Session, Tensor, TensorView, operators, train};

/// A network that drops elements of its input in two nodes.
fn network(ratio: f64) -> Graph {
    let mut b = Builder::new("dropout");
    let x = b.input("x", DType::F32, &[Dim::Named("n".into())]);
    let key = b.input("dropout_key", DType::I32, &[Dim::Known(2)]);
    for (stream, name) in ["y", "z"].into_iter().enumerate() {
        let y = b.node(name, operators::dropout(ratio, stream as u32).expect("a ratio"), &[Some(x), Some(key)]);
        b.output(name, y).expect("the name is free");
    }
    b.finish().expect("a valid graph")
}

fn run(session: &Session, x: &Tensor, key: [i32; 2], more: &[(&str, &Tensor)]) -> gristmill::Outputs {
    let key = Tensor::vector(&key);
    let mut inputs: Vec<(&str, TensorView<'_>)> = vec![("x", x.view()), ("dropout_key", key.view())];
    inputs.extend(more.iter().map(|(name, tensor)| (*name, tensor.view())));
    session.run_blocking(&inputs).expect("it runs")
}

/// Where elements are kept.
fn kept(tensor: &Tensor) -> Vec<bool> {
    tensor.to_f64().into_iter().map(|value| value != 0.0).collect()
}

#[test]
fn training_dropout_keeps_the_mean_of_a_million_elements() {
    let count = 1_000_000;
    let ones = Tensor::vector(&vec![1.0f32; count]);
    for ratio in [0.1, 0.5, 0.9] {
        let session = Session::new_blocking(gpu(), &Model::from_graph(network(ratio)), Options::default()).expect("a session");
        let outputs = run(&session, &ones, [11, 3], &[]);
        for name in ["y", "z"] {
            let values = outputs.get(name).expect("an output").to_f64();
            let mean = values.iter().sum::<f64>() / count as f64;
            let sigma = (ratio / (1.0 - ratio) / count as f64).sqrt();
            assert!((mean - 1.0).abs() < 4.0 * sigma, "ratio {ratio}, {name}: mean {mean}, sigma {sigma}");
            // Neighbours are independent: their product is kept with the square of the chance.
            let pairs: f64 = values.windows(2).map(|pair| pair[0] * pair[1]).sum::<f64>() / (count - 1) as f64;
            let chance = (1.0 - ratio).powi(2);
            let sigma = 2.0 * ((1.0 - chance) / chance / count as f64).sqrt();
            assert!((pairs - 1.0).abs() < 4.0 * sigma, "ratio {ratio}, {name}: pairs {pairs}, sigma {sigma}");
        }
    }
}

#[test]
fn training_dropout_masks_follow_key_and_stream() {
    let session = Session::new_blocking(gpu(), &Model::from_graph(network(0.5)), Options::default()).expect("a session");
    let ones = Tensor::vector(&vec![1.0f32; 999]);
    let masks = |key: [i32; 2]| {
        let outputs = run(&session, &ones, key, &[]);
        ["y", "z"].map(|name| kept(outputs.get(name).expect("an output")))
    };
    let [first, second] = masks([1, 0]);
    assert_eq!([first.clone(), second.clone()], masks([1, 0]), "a key decides");
    for other in [vec![second], masks([1, 1]).to_vec(), masks([2, 0]).to_vec()].concat() {
        let same = first.iter().zip(&other).filter(|(a, b)| a == b).count();
        assert!((400..600).contains(&same), "{same} of 999 elements are alike");
    }
}

#[test]
fn training_dropout_gives_back_through_the_mask() {
    let graph = train::with_gradients(&network(0.25), &["y"], &["y"], &["x"]).expect("a graph");
    let model = Model::from_graph(graph);
    let x = Tensor::vector(&vec![2.0f32; 1003]);
    let worth = Tensor::vector(&vec![3.0f32; 1003]);
    for session in [Session::cpu(&model, Options::default()), Session::new_blocking(gpu(), &model, Options::default())] {
        let outputs = run(&session.expect("a session"), &x, [5, 6], &[("upstream.y", &worth)]);
        let (y, gradient) = (outputs.get("y").expect("y").to_f64(), outputs.get("gradient.x").expect("a gradient").to_f64());
        assert!(y.contains(&0.0) && y.iter().any(|y| *y != 0.0));
        for (y, gradient) in y.iter().zip(gradient) {
            assert!((y * 1.5 - gradient).abs() < 1e-5, "{y} and {gradient}");
        }
    }
}

/// A file with a Dropout for each seed, 0 for none. A run gives what is not known here.
fn file(ratio: Option<f32>, training: Option<bool>, seeds: &[i64]) -> Model {
    let x = Tensor::vector(&[1.0f32; 64]);
    let mut network = Network { version: 13, inputs: vec![("x".to_string(), x.clone())], ..Network::default() };
    for (name, is_known, tensor) in [
        ("ratio", ratio.is_some(), Tensor::scalar(ratio.unwrap_or(0.5))),
        ("training", training.is_some(), Tensor::scalar(training.unwrap_or(true))),
    ] {
        let list = if is_known { &mut network.initializers } else { &mut network.inputs };
        list.push((name.to_string(), tensor));
    }
    for (k, seed) in seeds.iter().enumerate() {
        let output = format!("y{k}");
        network.types.insert(output.clone(), x.ty().clone());
        network.outputs.push(output.clone());
        network.nodes.push(Node {
            operator: "Dropout".to_string(),
            domain: String::new(),
            inputs: ["x", "ratio", "training"].map(str::to_string).to_vec(),
            outputs: vec![output],
            attributes: if *seed == 0 { vec![] } else { vec![("seed".to_string(), Attribute::Int(*seed))] },
        });
    }
    Model::from_bytes(&network.encode(), None).expect("a model")
}

#[test]
fn training_dropout_of_files_asks_for_a_key_where_it_drops() {
    let names = |model: &Model| {
        let graph = model.graph();
        graph.inputs().iter().map(|input| graph.value(input.value).name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&file(Some(0.5), Some(false), &[0])), ["x"]);
    assert_eq!(names(&file(Some(0.0), Some(true), &[0])), ["x"]);
    assert_eq!(names(&file(Some(0.5), Some(true), &[0, 1])), ["x", "dropout_key"]);
    assert_eq!(names(&file(None, None, &[0])), ["x", "ratio", "training", "dropout_key"]);
    let x = Tensor::vector(&[1.0f32; 64]);
    let model = file(Some(0.5), Some(true), &[0, 0, 7, 7]);
    let session = Session::new_blocking(gpu(), &model, Options::default()).expect("a session");
    assert!(session.run_blocking(&[("x", x.view())]).is_err(), "a run without a key");
    let outputs = run(&session, &x, [1, 2], &[]);
    let masks: Vec<Vec<bool>> = (0..4).map(|k| kept(outputs.get(&format!("y{k}")).expect("an output"))).collect();
    for k in 0..4 {
        assert!(masks[k + 1..].iter().all(|other| *other != masks[k]), "nodes have streams of their own");
    }
    let model = file(None, None, &[0]);
    let session = Session::new_blocking(gpu(), &model, Options::default()).expect("a session");
    for (ratio, training, least, most) in [(0.5f32, true, 16, 48), (0.5, false, 64, 64), (0.0, true, 64, 64), (1.0, true, 0, 0)] {
        let (ratio, training) = (Tensor::scalar(ratio), Tensor::scalar(training));
        let outputs = run(&session, &x, [1, 2], &[("ratio", &ratio), ("training", &training)]);
        let count = kept(outputs.get("y0").expect("an output")).into_iter().filter(|kept| *kept).count();
        assert!((least..=most).contains(&count), "{count} elements are kept");
    }
}
