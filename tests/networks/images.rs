//! Networks that tell images apart: PyTorch's numbers, what parameters start from, and that they learn.

use super::{File, Tensors, check_round_trip, digits, run, trained};
use crate::training::rules::{rule_a, rule_b};
use gristmill::graph::Graph;
use gristmill::models::{Cnn, LeNet};
use gristmill::train::{self, Adam, LossKind, NamedLoss, Sgd};
use gristmill::{ErrorKind, Tensor};

/// The networks as the files of the training fixtures have them, with the files' parameters.
fn fixtures() -> [(File, Graph); 2] {
    let cnn = Cnn { colors: 3, height: 12, width: 12, channels: [4, 8, 8], hidden: 24, classes: 10 };
    let lenet = LeNet { channels: [4, 8], hidden: [32, 20], ..LeNet::default() };
    [("cnn", cnn.graph(0)), ("lenet", lenet.graph(0))].map(|(name, graph)| {
        let file = File::open(&format!("training/{name}.safetensors"));
        let graph = graph.expect("a graph").with_constants(&file.under("init.")).expect("the same parameters");
        (file, graph)
    })
}

fn data(file: &File) -> Tensors {
    vec![("image".into(), file.get("data.input")), ("target".into(), file.get("data.target"))]
}

#[test]
fn networks_of_images_predict_what_pytorch_predicts() {
    for (file, graph) in fixtures() {
        for on_device in [false, true] {
            let found = &run(&graph, on_device, &data(&file)[..1].to_vec())["logits"];
            assert!(rule_b(found, &file.get("pred0")) <= 1.0, "{}", graph.name());
        }
    }
}

#[test]
fn networks_of_images_learn_as_in_pytorch() {
    for (file, graph) in fixtures() {
        let graph = train::with_loss(&graph, &NamedLoss::new(LossKind::cross_entropy(), "logits")).expect("a loss");
        for (name, optimizer) in [
            ("sgd", train::Optimizer::from(Sgd { learning_rate: 0.05, ..Sgd::default() })),
            ("adam", Adam { learning_rate: 3e-3, ..Adam::default() }.into()),
        ] {
            let (_, losses) = trained(&graph, optimizer, &data(&file), 12);
            let [truth, noise] = ["losses", "noise.losses"].map(|part| file.get(&format!("{part}.{name}")));
            let ratios = rule_a(&Tensor::vector(&losses), &truth, &noise);
            assert!(ratios.iter().all(|ratio| *ratio <= 1.0), "{} {name}: {ratios:?}", graph.name());
        }
    }
}

#[test]
fn parameters_start_within_the_root_of_their_inputs() {
    let bounds = [("conv1", 9), ("conv2", 32 * 9), ("conv3", 64 * 9), ("fc1", 64 * 49), ("fc2", 128)];
    let (graph, other) = (Cnn::default().graph(7).expect("a graph"), Cnn::default().graph(8).expect("a graph"));
    let mut numbers = 0;
    for (name, tensor) in graph.constants().into_iter().filter(|(_, tensor)| tensor.dtype().is_float()) {
        let (layer, part) = name.rsplit_once('.').expect("a layer and a part");
        let inputs = bounds.iter().find(|(known, _)| *known == layer).expect("a layer").1;
        let (bound, drawn) = ((inputs as f64).sqrt().recip(), tensor.to_f64());
        let count = drawn.len() as f64;
        numbers += drawn.len();
        // As single precision has the bound.
        assert!(drawn.iter().all(|x| x.abs() <= f64::from(bound as f32)), "{name}");
        if part == "weight" {
            let variance = drawn.iter().map(|x| x * x).sum::<f64>() / count;
            // A square of evenly spread numbers has a mean of a third, and a deviation of 0.298.
            assert!((variance / (bound * bound) - 1.0 / 3.0).abs() < 5.0 * 0.3 / count.sqrt(), "{name}: {variance}");
        }
        let (_, same) = other.constants().into_iter().find(|(known, _)| *known == name).expect("the same parameter");
        assert_ne!(tensor, same, "{name}");
    }
    assert_eq!(numbers, 320 + 18_496 + 36_928 + (3136 * 128 + 128) + 1290);
}

#[test]
fn networks_of_images_learn_digits() {
    let batch = digits();
    let small = Cnn { channels: [6, 8, 8], hidden: 32, ..Cnn::default() };
    for graph in [small.graph(1), LeNet::default().graph(1)] {
        let graph = graph.expect("a graph");
        check_round_trip(&graph, &batch[..1].to_vec());
        let graph = train::with_loss(&graph, &NamedLoss::new(LossKind::cross_entropy(), "logits")).expect("a loss");
        let (mut step, losses) = trained(&graph, Adam { learning_rate: 4e-3, ..Adam::default() }, &batch, 30);
        // A guess among ten has a loss of 2.3.
        assert!(losses[0] > 2.2 && losses[29] < 0.6, "{}: {losses:?}", graph.name());
        let outputs = step.evaluate_blocking(&["logits"], &super::views(&batch[..1].to_vec())).expect("it is evaluated");
        let logits: &[f32] = outputs["logits"].as_slice().expect("floats");
        let found = logits.chunks(10).map(|row| (0..10).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap_or(0) as i64);
        let right = found.zip(batch[1].1.to_i64()).filter(|(found, label)| found == label).count();
        assert!(right >= 85, "{}: {right} of 100", graph.name());
    }
}

#[test]
fn images_too_small_are_refused() {
    let small = [Cnn { height: 3, ..Cnn::default() }.graph(0), LeNet { width: 11, ..LeNet::default() }.graph(0)];
    for error in small.map(|graph| graph.expect_err("nothing is left")) {
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    }
    assert!(Cnn { classes: 0, ..Cnn::default() }.graph(0).is_err());
}
