//! Every row of the case table as a file and back.

use super::{again, given};
use crate::cases::{self, Case};
use crate::onnx::{Value, values_by_references};
use crate::support::difference;
use gristmill::{ErrorKind, Structure, Tensor};

/// Operators of this library alone.
const NO_FORM: &[&str] = &[
    "Accumulate",
    "AttentionGradient",
    "Ceiling",
    "CheckClasses",
    "CheckCtcSequences",
    "CheckWriteIndices",
    "ConvolutionalAttention",
    "CtcGreedyDecode",
    "CtcLoss",
    "FirstNonFinite",
    "Held",
    "Join",
    "LinearAttentionGradient",
    "NormGradient",
    "OptimizerUpdate",
    "Part",
    "ReadCeiling",
    "RecurrentGradient",
    "RecurrentSlopes",
    "RoiAlignGradient",
    "StridedView",
    "View",
    "WindowSum",
];

/// Why rows of other operators have no form.
const REASONS: &[&str] = &[
    "it reads an input through a view",
    "how the losses change is no output of ONNX's",
    "ONNX's running variance is the biased one",
    "weights: ONNX Runtime has powers of two from 16 on",
    "ONNX's Attention has no offset",
    "ONNX's Attention stand at the end",
    "ONNX's Attention replaces no score",
    "ONNX's MeanVarianceNormalization goes over some axes",
    "GridSample has no interpolation",
    "an optional that holds nothing says of what type in ONNX",
];

/// Rows that are not equal bit by bit: what a family becomes rounds between, or has parameters of fewer bits.
const ROUNDED: &[&str] = &["attention/", "cross_entropy/", "elementwise/Rsqrt", "norm/batch"];

/// Rows whose files draw random numbers of their own.
const RANDOM: &[&str] = &["dropout/"];

/// Rows whose files mean something else: queries that see no key yield zeros there, and a loop over nothing has no slice to know its rows from.
const DIFFERENT: &[&str] = &["infinite_mask_nan", "loop/no_slice"];

/// Rows of more elements are written and read, and not computed: references are slow.
const MOST_ELEMENTS: usize = 100_000;

/// Whether a refusal is unknown to the tables above.
fn refused(case: &Case, message: &str) -> Option<String> {
    let is_alone = message.contains("an operator of this library alone");
    // A node of two operators has the name of the first.
    let is_made = case.op.base().is_some() || NO_FORM.contains(&case.op.name());
    let is_known = if is_alone { is_made } else { REASONS.iter().any(|reason| message.contains(reason)) };
    (!is_known).then(|| format!("refused: {message}"))
}

fn check(case: &Case) -> Option<String> {
    let model = case.model();
    if RANDOM.iter().any(|family| case.name.starts_with(family)) {
        return model.to_onnx().err().map(|error| format!("{error:?}"));
    }
    let again = match again(&model) {
        Ok(again) => again,
        Err(error) if error.kind() == ErrorKind::Unsupported => return refused(case, error.message()),
        Err(error) => return Some(format!("{error:?}")),
    };
    let elements: usize = case.inputs.iter().flatten().map(|tensor| tensor.elements()).sum();
    if elements > MOST_ELEMENTS || DIFFERENT.iter().any(|row| case.name.contains(row)) {
        return None;
    }
    let tensor =
        |(k, tensor): (usize, &Option<Tensor>)| tensor.clone().map(|tensor| (format!("input{k}"), Structure::Tensor(tensor)));
    let named: Vec<(String, Value)> = case.inputs.iter().enumerate().filter_map(tensor).collect();
    let [expected, found] = [&model, &again].map(|model| values_by_references(model, &given(model, &named)));
    match (found, expected) {
        (Ok(found), Ok(expected)) => match ROUNDED.iter().any(|family| case.name.starts_with(family)) {
            true => found.iter().zip(&expected).find_map(|(f, e)| difference(f.tensor().ok()?, e.tensor().ok()?, case.tolerance)),
            false => super::differ(&found, &expected),
        },
        (Err(error), _) | (_, Err(error)) => Some(format!("{error:?}")),
    }
}

#[test]
fn rows_of_the_case_table_come_back_as_they_were() {
    let filter = std::env::var("CASES").unwrap_or_default();
    let (mut failures, mut count) = (Vec::new(), 0);
    for case in cases::all().iter().filter(|case| case.name.contains(&filter)) {
        count += 1;
        failures.extend(check(case).map(|failure| format!("{}: {failure}", case.name)));
    }
    assert!(failures.is_empty(), "{} failures in {count} rows:\n{}", failures.len(), failures.join("\n"));
}
