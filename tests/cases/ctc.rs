//! Rows of connectionist temporal classification.

use super::{Case, Random};
use gristmill::internals::ops::ctc::{check_ctc_sequences, ctc_greedy_decode, ctc_loss};
use gristmill::{DType, Tensor};

/// A batch of sequences.
pub struct Batch {
    pub time: usize,
    pub classes: usize,
    pub blank: usize,
    /// How far logits go to either side.
    pub scale: f64,
    pub input_lengths: Vec<i64>,
    pub targets: Vec<Vec<i64>>,
}

impl Batch {
    /// Logits, targets, input lengths and target lengths.
    pub fn inputs(&self, random: &mut Random) -> Vec<Tensor> {
        let batch = self.targets.len();
        let logits: Vec<f32> =
            random.floats(&[self.time, batch, self.classes]).to_f64().iter().map(|x| (x * self.scale) as f32).collect();
        let labels = self.targets.iter().map(Vec::len).max().unwrap_or(0);
        // What stands behind a target is never read.
        let padded = |target: &Vec<i64>| target.iter().copied().chain(std::iter::repeat(-7)).take(labels).collect::<Vec<i64>>();
        let lengths: Vec<i64> = self.targets.iter().map(|target| target.len() as i64).collect();
        vec![
            Tensor::new([self.time, batch, self.classes], &logits).expect("as many elements"),
            Tensor::new([batch, labels], &self.targets.iter().flat_map(padded).collect::<Vec<i64>>()).expect("as many elements"),
            Tensor::vector(&self.input_lengths),
            Tensor::vector(&lengths),
        ]
    }
}

/// Labels in any order; none is the blank.
pub fn labels(random: &mut Random, count: usize, classes: usize, blank: usize) -> Vec<i64> {
    let drawn = random.integers(DType::I64, &[count], 0, classes as i64 - 1).to_i64();
    drawn.into_iter().map(|label| if label >= blank as i64 { label + 1 } else { label }).collect()
}

/// Batches of all kinds.
fn batches(random: &mut Random) -> Vec<(&'static str, Batch)> {
    let mut drawn = |counts: &[usize], classes: usize, blank: usize| -> Vec<Vec<i64>> {
        counts.iter().map(|count| labels(random, *count, classes, blank)).collect()
    };
    let mut rows = vec![
        ("plain", 12, 6, 0, 3.0, vec![12, 12, 12], drawn(&[4, 4, 4], 6, 0)),
        ("lengths", 13, 5, 4, 3.0, vec![13, 7, 10, 1, 0, 0], drawn(&[5, 2, 0, 1, 0, 1], 5, 4)),
        ("one_frame", 1, 3, 1, 1.0, vec![1, 1], drawn(&[1, 0], 3, 1)),
        ("no_labels", 5, 4, 2, 2.0, vec![5, 3], drawn(&[0, 0], 4, 2)),
        ("two_classes", 9, 2, 1, 2.0, vec![9, 9], drawn(&[3, 5], 2, 1)),
        ("large_logits", 20, 7, 3, 300.0, vec![20, 18, 20], drawn(&[5, 6, 1], 7, 3)),
        ("many_classes", 6, 1031, 1030, 4.0, vec![6, 5], drawn(&[3, 2], 1031, 1030)),
        ("many_labels", 400, 9, 0, 2.0, vec![400, 370], drawn(&[300, 280], 9, 0)),
        ("many_frames", 2000, 11, 0, 2.0, vec![2000, 1700], drawn(&[60, 3], 11, 0)),
    ];
    let repeated = vec![vec![2, 2, 1, 1], vec![1, 1, 1], vec![3, 1, 3, 1], vec![2, 2]];
    rows.push(("repeated", 9, 4, 0, 2.0, vec![9, 5, 4, 2], repeated));
    rows.push(("one_label_again_and_again", 90, 3, 0, 2.0, vec![90, 79, 78], vec![vec![1; 40], vec![2; 40], vec![2; 40]]));
    rows.push(("too_few_frames", 8, 5, 0, 2.0, vec![2, 8, 3, 0], vec![vec![1, 2, 3], vec![4, 4, 2], vec![1, 1, 1], vec![2]]));
    let batch = |(name, time, classes, blank, scale, input_lengths, targets)| {
        (name, Batch { time, classes, blank, scale, input_lengths, targets })
    };
    rows.into_iter().map(batch).collect()
}

fn integers(inputs: &mut [Tensor]) {
    for tensor in &mut inputs[1..] {
        let values: Vec<i32> = tensor.to_i64().iter().map(|x| *x as i32).collect();
        *tensor = Tensor::new(tensor.shape().clone(), &values).expect("as many elements");
    }
}

/// Alignments that some frames forbid.
fn forbidden(random: &mut Random) -> Case {
    let targets = vec![vec![1, 2], vec![1, 2], vec![3]];
    let batch = Batch { time: 5, classes: 4, blank: 0, scale: 2.0, input_lengths: vec![5, 5, 4], targets };
    let mut inputs = batch.inputs(random);
    let mut logits: Vec<f32> = inputs[0].as_slice().expect("floats").to_vec();
    for frame in 0..5 {
        // The second sequence is never at its last label, the first one seldom.
        logits[(frame * 3 + 1) * 4 + 2] = f32::NEG_INFINITY;
        if frame != 3 {
            logits[frame * 3 * 4 + 2] = f32::NEG_INFINITY;
        }
    }
    inputs[0] = Tensor::new([5, 3, 4], &logits).expect("as many elements");
    Case::new("ctc/forbidden", ctc_loss(0, false), inputs).outputs(2)
}

pub fn cases() -> Vec<Case> {
    let mut random = Random::new(0xC7C);
    let mut cases = vec![forbidden(&mut random)];
    for (name, batch) in batches(&mut random) {
        let inputs = batch.inputs(&mut random);
        for (outputs, what) in [(1, "loss"), (2, "gradient")] {
            let case = Case::new(format!("ctc/{what}_{name}"), ctc_loss(batch.blank, false), inputs.clone());
            cases.push(case.outputs(outputs));
        }
        let lengths = inputs[2].clone();
        cases.push(
            Case::new(format!("ctc/decode_{name}"), ctc_greedy_decode(batch.blank), vec![inputs[0].clone(), lengths]).outputs(2),
        );
        if ["lengths", "too_few_frames"].contains(&name) {
            let mut inputs = inputs.clone();
            integers(&mut inputs);
            cases.push(Case::new(format!("ctc/zero_{name}"), ctc_loss(batch.blank, true), inputs).outputs(2));
        }
        let [labels, time] = [inputs[1].shape()[1], batch.time];
        let check = check_ctc_sequences(time, Some([labels, batch.classes, batch.blank]));
        cases.push(Case::new(format!("ctc/check_{name}"), check, vec![inputs[2].clone(), inputs[3].clone(), inputs[1].clone()]));
    }
    // Alignments that stay where they are, in whole numbers.
    let best = [1, 1, 0, 1, 2, 2, 0, 0, 0, 2, 2, 1];
    let logits: Vec<f32> = best.iter().flat_map(|best| (0..3).map(move |class| f32::from(u8::from(class == *best)))).collect();
    let logits = Tensor::new([6, 2, 3], &logits).expect("as many elements");
    let golden = vec![
        Tensor::new([2, 6], &[1i64, 2, 2, -1, -1, -1, 1, 2, -1, -1, -1, -1]).expect("as many elements"),
        Tensor::vector(&[3i64, 2]),
    ];
    let case = Case::new("ctc/decode_golden", ctc_greedy_decode(0), vec![logits, Tensor::vector(&[6i64, 3])]);
    cases.push(case.outputs(2).golden(golden));
    cases.push(Case::new("ctc/check_frames", check_ctc_sequences(4, None), vec![Tensor::vector(&[4i32, 0, 2])]));
    cases
}
