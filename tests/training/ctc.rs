//! Connectionist temporal classification: the loss against PyTorch's numbers and against all alignments one by one, what is wrong
//! with its inputs, and what is decoded.

use super::safetensors::Stored;
use super::{bounds, difference, floats, session};
use crate::cases::Random;
use crate::cases::ctc::{Batch, labels};
use gristmill::graph::{Builder, Dim};
use gristmill::train::{self, CtcInputs, CtcOptions, LossReduction};
use gristmill::{DType, ErrorKind, Outputs, Tensor, TensorType, TensorView, operators};
use std::collections::HashMap;

/// The losses `y` of a batch, and the gradient of their sum, in floats of a dtype.
fn run(inputs: &[Tensor], options: &CtcOptions, dtype: DType) -> gristmill::Result<Outputs> {
    let names = ["logits", "target", "input_lengths", "target_lengths"];
    let inputs: Vec<Tensor> = inputs.iter().map(|tensor| floats(tensor, dtype)).collect();
    let mut b = Builder::new("loss");
    let mut ids = names.iter().zip(&inputs).map(|(name, tensor)| {
        let dims: Vec<Dim> = tensor.shape().iter().map(|_| Dim::Unknown).collect();
        b.input(name, tensor.dtype(), &dims)
    });
    let mut next = || ids.next().expect("four inputs");
    let inputs_of = CtcInputs { logits: next(), target: next(), input_lengths: next(), target_lengths: next() };
    drop(ids);
    let losses = train::ctc_loss(&mut b, "loss", inputs_of, &CtcOptions { reduction: LossReduction::None, ..*options })?;
    let total = train::ctc_loss(&mut b, "summed", inputs_of, &CtcOptions { reduction: LossReduction::Sum, ..*options })?;
    b.output("y", losses)?;
    b.output("total", total)?;
    let graph = train::with_gradients(&b.finish()?, &["total"], &[], &["logits"])?;
    let given: Vec<(&str, TensorView<'_>)> = names.iter().zip(&inputs).map(|(name, tensor)| (*name, tensor.view())).collect();
    session(graph, dtype)?.run_blocking(&given)
}

fn compare(what: &str, found: &Tensor, truth: &Tensor, dtype: DType) {
    let (relative, whole) = bounds(dtype);
    let wrong = difference(found, truth, relative, whole);
    assert!(wrong.is_none(), "{what} in {dtype}: {}", wrong.unwrap_or_default());
}

#[test]
fn training_ctc_of_hard_cases() {
    let stored = Stored::open("ctc_loss.safetensors");
    let tensor = |name: &str| stored.tensor(name).expect("a tensor of the file");
    let inputs = ["logits", "target", "input_lengths", "target_lengths"].map(tensor);
    let blank = stored.json["blank"].as_u64().expect("a class") as usize;
    for dtype in [DType::F64, DType::F32] {
        for (zero_infinity, losses) in [(false, "loss"), (true, "loss_zero_infinity")] {
            let options = CtcOptions { blank, zero_infinity, ..CtcOptions::default() };
            let found = run(&inputs, &options, dtype).expect("a run");
            compare(losses, &found["y"], &tensor(losses), dtype);
            if zero_infinity {
                let name = "grad_logits_of_sum_zero_infinity";
                compare(name, &found["gradient.logits"], &tensor(name), dtype);
            }
        }
    }
}

/// The labels of an alignment.
fn merged(alignment: &[usize], blank: usize) -> Vec<usize> {
    let mut labels = alignment.to_vec();
    labels.dedup();
    labels.retain(|label| *label != blank);
    labels
}

/// The probability of each labelling, as the sum over all of its alignments, and of each class in each frame of these alone.
fn all_alignments(rows: &[Vec<f64>], blank: usize) -> HashMap<Vec<usize>, (f64, Vec<Vec<f64>>)> {
    let classes = rows[0].len();
    let mut found: HashMap<Vec<usize>, (f64, Vec<Vec<f64>>)> = HashMap::new();
    for number in 0..classes.pow(rows.len() as u32) {
        let alignment: Vec<usize> = (0..rows.len()).map(|frame| number / classes.pow(frame as u32) % classes).collect();
        let probability: f64 = alignment.iter().zip(rows).map(|(class, row)| row[*class]).product();
        let none = || (0.0, vec![vec![0.0; classes]; rows.len()]);
        let (total, parts) = found.entry(merged(&alignment, blank)).or_insert_with(none);
        *total += probability;
        alignment.iter().zip(parts).for_each(|(class, part)| part[*class] += probability);
    }
    found
}

/// The probabilities of the classes in the frames of a sequence.
fn probabilities(logits: &Tensor, element: usize, frames: usize) -> Vec<Vec<f64>> {
    let [batch, classes] = [logits.shape()[1], logits.shape()[2]];
    let data = logits.to_f64();
    let row = |frame: usize| {
        let powers: Vec<f64> = data[(frame * batch + element) * classes..][..classes].iter().map(|x| x.exp()).collect();
        let total: f64 = powers.iter().sum();
        powers.iter().map(|power| power / total).collect()
    };
    (0..frames).map(row).collect()
}

/// Small batches whose targets are short.
fn small(random: &mut Random) -> Vec<Batch> {
    let mut batches = Vec::new();
    for (classes, blank, time) in [(3, 0, 6), (4, 3, 5), (4, 1, 6), (2, 0, 7)] {
        let counts = [0, 1, 2, 3, 2, 3, 4];
        let targets: Vec<Vec<i64>> = counts.iter().map(|count| labels(random, *count, classes, blank)).collect();
        let input_lengths = (0..counts.len() as i64).map(|k| (time as i64 - k % 3).max(1)).collect();
        batches.push(Batch { time, classes, blank, scale: 2.0, input_lengths, targets });
    }
    batches
}

#[test]
fn training_ctc_against_all_alignments() {
    let mut random = Random::new(0xA11);
    for batch in small(&mut random) {
        let inputs = batch.inputs(&mut random);
        let mut losses = Vec::new();
        let mut gradient = vec![0.0; inputs[0].elements()];
        for (element, target) in batch.targets.iter().enumerate() {
            let rows = probabilities(&inputs[0], element, batch.input_lengths[element] as usize);
            let target: Vec<usize> = target.iter().map(|label| *label as usize).collect();
            let Some((total, parts)) = all_alignments(&rows, batch.blank).remove(&target) else {
                losses.push(0.0);
                continue;
            };
            losses.push(-f64::ln(total));
            for (frame, (row, part)) in rows.iter().zip(parts).enumerate() {
                let to = &mut gradient[(frame * batch.targets.len() + element) * batch.classes..][..batch.classes];
                to.iter_mut().zip(row.iter().zip(part)).for_each(|(to, (p, part))| *to = p - part / total);
            }
        }
        let options = CtcOptions { blank: batch.blank, zero_infinity: true, ..CtcOptions::default() };
        for dtype in [DType::F64, DType::F32] {
            let found = run(&inputs, &options, dtype).expect("a run");
            let of = |tensor: &Tensor, values: &[f64]| {
                Tensor::from_f64(TensorType::new(DType::F64, tensor.shape().clone()), values).expect("as many elements")
            };
            compare("losses", &found["y"], &of(&found["y"], &losses), dtype);
            compare("gradient", &found["gradient.logits"], &of(&found["gradient.logits"], &gradient), dtype);
        }
    }
}

#[test]
fn training_ctc_takes_log_probabilities() {
    let mut random = Random::new(0x106);
    for batch in small(&mut random) {
        let mut inputs = batch.inputs(&mut random);
        let options = CtcOptions { blank: batch.blank, zero_infinity: true, ..CtcOptions::default() };
        let truth = run(&inputs, &options, DType::F64).expect("a run");
        let normalized = operators::log_softmax(-1).reference(&[Some(&floats(&inputs[0], DType::F64))]).expect("a reference");
        inputs[0] = normalized[0].clone();
        for dtype in [DType::F64, DType::F32] {
            let found = run(&inputs, &options, dtype).expect("a run");
            for name in ["y", "gradient.logits"] {
                compare(name, &found[name], &truth[name], dtype);
            }
        }
    }
}

#[test]
fn training_ctc_of_long_sequences() {
    let mut random = Random::new(0x7005);
    for (scale, counts, lengths) in [(1.0, [150, 0, 7], [2000, 1999, 1500]), (40.0, [900, 300, 1], [2000, 2000, 64])] {
        let targets = counts.iter().map(|count| labels(&mut random, *count, 12, 5)).collect();
        let batch = Batch { time: 2000, classes: 12, blank: 5, scale, input_lengths: lengths.to_vec(), targets };
        let inputs = batch.inputs(&mut random);
        let options = CtcOptions { blank: 5, ..CtcOptions::default() };
        let truth = run(&inputs, &options, DType::F64).expect("a run");
        let found = run(&inputs, &options, DType::F32).expect("a run");
        for name in ["y", "gradient.logits"] {
            compare(&format!("{name} of logits up to {scale}"), &found[name], &truth[name], DType::F32);
        }
    }
}

#[test]
fn training_ctc_refuses_what_is_out_of_range() {
    let mut random = Random::new(0xBAD);
    let batch =
        Batch { time: 6, classes: 4, blank: 2, scale: 1.0, input_lengths: vec![6, 5], targets: vec![vec![1, 3, 0], vec![0, 1, 3]] };
    let good = batch.inputs(&mut random);
    let options = CtcOptions { blank: 2, ..CtcOptions::default() };
    for dtype in [DType::F64, DType::F32] {
        assert!(run(&good, &options, dtype).is_ok());
    }
    for (input, values, message) in [
        (1, vec![1, 3, 0, 0, 4, 3], "has 4 as label 1 of its target, of 4 classes"),
        (1, vec![1, -1, 0, 0, 1, 3], "has -1 as label 1 of its target, of 4 classes"),
        (1, vec![1, 3, 2, 0, 1, 3], "has the blank, 2, as label 2 of its target"),
        (2, vec![6, 7], "has an input length of 7, of 6 frames"),
        (2, vec![-1, 5], "has an input length of -1, of 6 frames"),
        (3, vec![3, 4], "has a target length of 4, of 3 labels"),
        (3, vec![-2, 3], "has a target length of -2, of 3 labels"),
    ] {
        let mut inputs = good.clone();
        inputs[input] = Tensor::new(inputs[input].shape().clone(), &values).expect("as many elements");
        let error = run(&inputs, &options, DType::F64).expect_err("an error");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.message().ends_with(message), "{error}");
        let error = run(&inputs, &options, DType::F32).expect_err("an error");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.message().ends_with(message), "{error}");
        assert!(error.node().is_some_and(|node| node.starts_with("CheckCtcSequences:")), "{error}");
    }
    // What stands behind a target counts for nothing.
    let mut inputs = good.clone();
    inputs[3] = Tensor::vector(&[2i64, 3]);
    inputs[1] = Tensor::new([2, 3], &[1i64, 3, -100, 0, 1, 3]).expect("as many elements");
    for dtype in [DType::F64, DType::F32] {
        assert!(run(&inputs, &options, dtype).is_ok());
    }
}

/// What an infinite loss hands back: PyTorch answers with NaN at the frames that count.
#[test]
fn training_ctc_of_targets_that_do_not_fit() {
    let mut random = Random::new(0x1F);
    let batch =
        Batch { time: 4, classes: 3, blank: 0, scale: 1.0, input_lengths: vec![2, 4], targets: vec![vec![1, 1], vec![1, 2]] };
    let inputs = batch.inputs(&mut random);
    for dtype in [DType::F64, DType::F32] {
        let found = run(&inputs, &CtcOptions::default(), dtype).expect("a run");
        let losses = found["y"].to_f64();
        assert!(losses[0] == f64::INFINITY && losses[1].is_finite(), "{losses:?}");
        for (place, value) in found["gradient.logits"].to_f64().into_iter().enumerate() {
            let (frame, element) = (place / 6, place / 3 % 2);
            let holds = if element == 0 && frame < 2 { value.is_nan() } else { value.is_finite() };
            assert!(holds && (element == 1 || frame < 2 || value == 0.0), "at {place}: {value}");
        }
    }
}

#[test]
fn training_ctc_greedy_decoding() {
    let mut random = Random::new(0x9EED);
    for batch in small(&mut random) {
        let inputs = batch.inputs(&mut random);
        let mut b = Builder::new("decode");
        let logits = b.input("logits", DType::F32, &[Dim::Unknown, Dim::Unknown, Dim::Unknown]);
        let lengths = b.input("lengths", DType::I64, &[Dim::Unknown]);
        let [found, counts] = ["labels", "counts"].map(|name| b.value(name, None));
        let op = operators::ctc_greedy_decode(batch.blank);
        b.push("decode", op, vec![Some(logits), Some(lengths)], vec![Some(found), Some(counts)]);
        b.output("labels", found).expect("a name of its own");
        b.output("counts", counts).expect("a name of its own");
        let session = session(b.finish().expect("a graph"), DType::F32).expect("a session");
        let outputs = session.run_blocking(&[("logits", inputs[0].view()), ("lengths", inputs[2].view())]).expect("a run");
        let (labels, counts) = (outputs["labels"].to_i64(), outputs["counts"].to_i64());
        for (element, length) in batch.input_lengths.iter().enumerate() {
            let rows = probabilities(&inputs[0], element, *length as usize);
            let best = |row: &Vec<f64>| (0..row.len()).fold(0, |best, class| if row[class] > row[best] { class } else { best });
            let truth = merged(&rows.iter().map(best).collect::<Vec<_>>(), batch.blank);
            let own = &labels[element * batch.time..][..batch.time];
            assert_eq!(counts[element] as usize, truth.len());
            assert!(own.iter().take(truth.len()).eq(truth.iter().map(|label| *label as i64).collect::<Vec<_>>().iter()));
            assert!(own[truth.len()..].iter().all(|label| *label == -1));
        }
        let wrong = Tensor::vector(&vec![batch.time as i64 + 1; batch.targets.len()]);
        let error = session.run_blocking(&[("logits", inputs[0].view()), ("lengths", wrong.view())]).expect_err("an error");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn training_ctc_beam_search() {
    let mut random = Random::new(0xBEA);
    for batch in small(&mut random) {
        let inputs = batch.inputs(&mut random);
        let rows = probabilities(&inputs[0], 3, batch.time);
        let logarithms: Vec<f64> = rows.iter().flatten().map(|p| p.ln()).collect();
        let ty = TensorType::new(DType::F64, [batch.time, batch.classes]);
        let logarithms = Tensor::from_f64(ty, &logarithms).expect("as many elements");
        for length in 0..=batch.time {
            let mut truth: Vec<(Vec<usize>, f64)> = vec![(vec![], 1.0)];
            if length > 0 {
                truth = all_alignments(&rows[..length], batch.blank).into_iter().map(|(labels, (p, _))| (labels, p)).collect();
            }
            truth.sort_by(|a, b| b.1.total_cmp(&a.1));
            let found = train::beam_search(&logarithms, length, batch.blank, usize::MAX).expect("labels");
            assert_eq!(found.len(), truth.len());
            for ((labels, logarithm), (expected, probability)) in found.iter().zip(&truth) {
                assert_eq!(labels, expected);
                assert!((logarithm - probability.ln()).abs() < 1e-10, "{labels:?}: {logarithm}, {probability}");
            }
            // A narrow beam sums no more than there is, over labels that are distinct.
            let narrow = train::beam_search(&logarithms, length, batch.blank, 3).expect("labels");
            assert!(narrow.len() <= 3);
            let all: HashMap<&Vec<usize>, f64> = truth.iter().map(|(labels, p)| (labels, *p)).collect();
            assert!(narrow.iter().all(|(labels, logarithm)| logarithm.exp() <= all[labels] * (1.0 + 1e-10)));
            assert!(narrow.windows(2).all(|pair| pair[0].1 >= pair[1].1 && pair[0].0 != pair[1].0));
        }
        for (length, blank, width) in [(batch.time + 1, 0, 4), (1, batch.classes, 4), (1, 0, 0)] {
            let error = train::beam_search(&logarithms, length, blank, width).expect_err("an error");
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        }
    }
}
