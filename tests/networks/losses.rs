//! Losses by name: their numbers are those of the functions that write them, on graphs that know nothing of a loss.

use super::{Tensors, run};
use crate::cases::Random;
use gristmill::graph::{Builder, Dim, Graph};
use gristmill::train::{self, LossKind, LossReduction, NamedLoss};
use gristmill::{DType, ErrorKind, Tensor, operators};

/// A graph whose prediction is twice its input, of any shape.
fn twice() -> Graph {
    let mut b = Builder::new("twice");
    let x = b.declare("x", DType::F32, None);
    let y = b.node("y", operators::binary("Add").expect("a function"), &[Some(x), Some(x)]);
    b.output("y", y).expect("the name is free");
    b.finish().expect("a graph")
}

/// The loss by the references and on the device, which agree.
fn loss(loss: &NamedLoss, inputs: Tensors) -> f64 {
    let graph = train::with_loss(&twice(), loss).expect("a loss");
    let [reference, device] = [false, true].map(|on_device| run(&graph, on_device, &inputs)[loss.name.as_str()].to_f64()[0]);
    assert!((reference - device).abs() <= 1e-5 * reference.abs().max(1.0), "{loss:?}: {reference} and {device}");
    reference
}

/// An input whose prediction is this.
fn predicting(shape: &[usize], prediction: &[f32]) -> (String, Tensor) {
    let halves: Vec<f32> = prediction.iter().map(|y| y / 2.0).collect();
    ("x".into(), Tensor::new(shape, &halves).expect("as many elements"))
}

fn target(tensor: Tensor) -> (String, Tensor) {
    ("target".into(), tensor)
}

fn assert_near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-5 * expected.abs().max(1.0), "{found}, expected {expected}");
}

#[test]
fn numbers_are_compared_one_by_one() {
    let inputs = || vec![predicting(&[2, 2], &[1.0, -1.0, 0.5, 3.0]), target(Tensor::vector(&[0.0f32, 0.0, 1.0, 1.0]))];
    let of = |kind: LossKind| loss(&NamedLoss::new(kind, "y"), inputs());
    assert_near(of(LossKind::MeanSquaredError), (1.0 + 1.0 + 0.25 + 4.0) / 4.0);
    assert_near(of(LossKind::L1), (1.0 + 1.0 + 0.5 + 2.0) / 4.0);
    assert_near(of(LossKind::Huber { delta: 1.0 }), (0.5 + 0.5 + 0.125 + 1.5) / 4.0);
    let softplus = |x: f64| x.exp().ln_1p();
    let entropy = softplus(1.0) + softplus(-1.0) + softplus(-0.5) + softplus(-3.0);
    assert_near(of(LossKind::BinaryCrossEntropyWithLogits), entropy / 4.0);
    let sum = NamedLoss { reduction: LossReduction::Sum, ..NamedLoss::new(LossKind::L1, "y") };
    assert_near(loss(&sum, inputs()), 4.5);
}

#[test]
fn a_prediction_may_be_held_against_what_the_graph_has() {
    // Twice the input against the input.
    let itself = NamedLoss { target: "x".into(), name: "cost".into(), ..NamedLoss::new(LossKind::L1, "y") };
    assert_near(loss(&itself, vec![predicting(&[3], &[2.0, -4.0, 6.0])]), 2.0);
}

/// Minus the logarithm of the softmax of a row at a label.
fn surprise(row: &[f64], label: usize) -> f64 {
    row.iter().map(|x| x.exp()).sum::<f64>().ln() - row[label]
}

#[test]
fn classes_stand_along_any_axis() {
    // As single precision has it.
    let logits = Random::new(3).floats(&[2, 3, 4]).to_f64();
    let numbers: Vec<f32> = logits.iter().map(|x| *x as f32).collect();
    let input = || predicting(&[2, 3, 4], &numbers);
    let kind = |axis: i64| LossKind::CrossEntropy { axis, ignore_index: None, label_smoothing: 0.0 };
    let labels = [0i64, 3, 1, 2, 2, 0];
    let last = loss(&NamedLoss::new(kind(-1), "y"), vec![input(), target(Tensor::new([2, 3], &labels).expect("labels"))]);
    assert_near(last, logits.chunks(4).zip(labels).map(|(row, label)| surprise(row, label as usize)).sum::<f64>() / 6.0);
    let labels = [0i64, 2, 1, 2, 2, 0, 1, 1];
    let middle = loss(&NamedLoss::new(kind(1), "y"), vec![input(), target(Tensor::new([2, 4], &labels).expect("labels"))]);
    let column = |k: usize| [0, 1, 2].map(|class| logits[k / 4 * 12 + class * 4 + k % 4]);
    assert_near(middle, (0..8).map(|k| surprise(&column(k), labels[k] as usize)).sum::<f64>() / 8.0);
}

#[test]
fn classes_may_be_ignored_and_smoothed() {
    let rows = [[0.5, 1.0, -0.5], [2.0, 0.0, 0.0], [1.0, 1.0, 3.0]];
    let input = predicting(&[3, 3], &rows.concat().iter().map(|x| *x as f32).collect::<Vec<_>>());
    let kind = LossKind::CrossEntropy { axis: -1, ignore_index: Some(-100), label_smoothing: 0.3 };
    let found = loss(&NamedLoss::new(kind, "y"), vec![input, target(Tensor::vector(&[1i64, -100, 2]))]);
    let smooth =
        |row: &[f64; 3], label: usize| 0.7 * surprise(row, label) + 0.1 * (0..3).map(|class| surprise(row, class)).sum::<f64>();
    assert_near(found, (smooth(&rows[0], 1) + smooth(&rows[2], 2)) / 2.0);
}

#[test]
fn labels_may_be_integers_of_any_width() {
    let mut b = Builder::extending(&twice());
    b.input("label", DType::U8, &[Dim::Unknown]);
    let graph = b.finish().expect("a graph");
    let named = NamedLoss { target: "label".into(), ..NamedLoss::new(LossKind::cross_entropy(), "y") };
    let graph = train::with_loss(&graph, &named).expect("a loss");
    let inputs = vec![predicting(&[1, 2], &[1.0, 2.0]), ("label".into(), Tensor::vector(&[1u8]))];
    assert_near(run(&graph, false, &inputs)["loss"].to_f64()[0], surprise(&[1.0, 2.0], 1));
}

#[test]
fn alignments_are_summed_in_either_order_of_axes() {
    // Two frames, of which the label may stand in either or both: three of nine alignments.
    let frames = || vec![target(Tensor::new([1, 1], &[1i64]).expect("labels"))];
    let lengths = || vec![("frame_lengths".into(), Tensor::vector(&[2i64])), ("target_lengths".into(), Tensor::vector(&[1i64]))];
    let named = NamedLoss::new(LossKind::ctc(), "y");
    let time_first = [vec![predicting(&[2, 1, 3], &[0.0; 6])], frames(), lengths()].concat();
    assert_near(loss(&named, time_first), -(3f64 / 9.0).ln());
    let kind = LossKind::Ctc {
        blank: 2,
        zero_infinity: true,
        batch_first: true,
        input_lengths: "frames".into(),
        target_lengths: "labels".into(),
    };
    let lengths = vec![("frames".into(), Tensor::vector(&[2i64])), ("labels".into(), Tensor::vector(&[1i64]))];
    let batch_first = [vec![predicting(&[1, 2, 3], &[0.0; 6])], frames(), lengths].concat();
    assert_near(loss(&NamedLoss::new(kind, "y"), batch_first), -(3f64 / 9.0).ln());
}

#[test]
fn what_a_loss_cannot_be_is_said() {
    let fails = |named: NamedLoss, word: &str| {
        let error = train::with_loss(&twice(), &named).expect_err(word);
        assert!(error.kind() == ErrorKind::InvalidArgument && error.to_string().contains(word), "{error}");
    };
    fails(NamedLoss::new(LossKind::L1, "z"), "[\"y\"]");
    fails(NamedLoss { name: "y".into(), ..NamedLoss::new(LossKind::L1, "y") }, "`y`");
    fails(NamedLoss::new(LossKind::Huber { delta: 0.0 }, "y"), "delta");
    let smoothing = LossKind::CrossEntropy { axis: -1, ignore_index: None, label_smoothing: 1.5 };
    fails(NamedLoss::new(smoothing, "y"), "1.5");
}
