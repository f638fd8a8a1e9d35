//! The 20 networks under `tests/models`, against the numbers of the frameworks they came from.

use crate::cases::{Random, Tolerance};
use crate::onnx::{by_references, by_session};
use crate::support::difference;
use gristmill::internals::graph::{Dim, Input};
use gristmill::internals::import::onnx::tensor_from_bytes;
use gristmill::{Error, Model, Options, Tensor};
use std::fs;
use std::path::{Path, PathBuf};

/// Other frameworks sum in other orders.
const TOLERANCE: Tolerance = Tolerance { relative: 1e-3, absolute: 1e-4 };

/// The folders of all networks.
pub fn folders() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models");
    let mut folders: Vec<PathBuf> = fs::read_dir(root)
        .expect("the folder is there")
        .map(|e| e.expect("it can be read").path())
        .filter(|p| p.is_dir())
        .collect();
    folders.sort();
    assert_eq!(folders.len(), 20);
    folders
}

/// The tensors `PREFIX0.pb`, `PREFIX1.pb`, ... of a folder.
fn tensors(folder: &Path, prefix: &str) -> Vec<Tensor> {
    (0..)
        .map_while(|k| fs::read(folder.join(format!("{prefix}{k}.pb"))).ok())
        .map(|bytes| tensor_from_bytes(&bytes).expect("test data are tensors").1)
        .collect()
}

/// Inputs and expected outputs of every data set.
pub fn data_sets(folder: &Path) -> Vec<(Vec<Tensor>, Vec<Tensor>)> {
    (0..)
        .map(|k| folder.join(format!("test_data_set_{k}")))
        .take_while(|set| set.is_dir())
        .map(|set| (tensors(&set, "input_"), tensors(&set, "output_")))
        .collect()
}

/// Runs every data set of every network by `run`, which gives the outputs of a model for its inputs.
fn check(run: impl Fn(&Model, &[Tensor]) -> Result<Vec<Tensor>, Error>) {
    let mut failures = Vec::new();
    for folder in folders() {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let model = match Model::load(folder.join("model.onnx")) {
            Ok(model) => model,
            Err(error) => {
                failures.push(format!("{name}: {error:?}"));
                continue;
            }
        };
        for (set, (inputs, expected)) in data_sets(&folder).into_iter().enumerate() {
            assert!(!expected.is_empty(), "{name} has no expected outputs");
            match run(&model, &inputs) {
                Err(error) => failures.push(format!("{name}: {error:?}")),
                Ok(found) => {
                    assert_eq!(found.len(), expected.len(), "{name}");
                    let pairs = found.iter().zip(&expected).enumerate();
                    failures.extend(pairs.filter_map(|(k, (found, expected))| {
                        difference(found, expected, TOLERANCE).map(|d| format!("{name}, set {set}, output {k}: {d}"))
                    }));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn references_agree_with_the_frameworks() {
    check(by_references);
}

#[test]
fn the_device_agrees_with_the_frameworks() {
    check(|model, inputs| by_session(model, inputs, Options { strict_gpu: true, ..Options::default() }));
}

#[test]
fn checked_kernels_agree_with_the_frameworks() {
    check(|model, inputs| by_session(model, inputs, Options { checked: true, ..Options::default() }));
}

/// A seeded input of a declared type with `batch` and `length` for its open extents; integers are small indices.
fn drawn(random: &mut Random, input: &Input, batch: usize, length: usize) -> Tensor {
    let extent = |dim: &Dim| match dim {
        Dim::Known(n) => *n,
        Dim::Named(name) if name == "length" => length,
        _ => batch,
    };
    let shape: Vec<usize> = input.dims.iter().flatten().map(extent).collect();
    if input.dtype.is_float() { random.floats(&shape) } else { random.integers(input.dtype, &shape, 0, 20) }
}

#[test]
fn open_extents_take_any_size() {
    let mut open = 0;
    for folder in folders() {
        let model = Model::load(folder.join("model.onnx")).expect("the networks import");
        let inputs = model.graph().inputs();
        if !inputs.iter().flat_map(|i| i.dims.iter().flatten()).any(|d| matches!(d, Dim::Named(_) | Dim::Unknown)) {
            continue;
        }
        open += 1;
        for (batch, length) in [(1, 1), (2, 5), (3, 1), (5, 17), (33, 2)] {
            let random = &mut Random::new(batch as u64);
            let inputs: Vec<Tensor> = inputs.iter().map(|input| drawn(random, input, batch, length)).collect();
            let expected = by_references(&model, &inputs).expect("the references run");
            let found = by_session(&model, &inputs, Options { strict_gpu: true, ..Options::default() }).expect("the device runs");
            for (found, expected) in found.iter().zip(&expected) {
                assert_eq!(difference(found, expected, TOLERANCE), None, "{} at batch {batch}, length {length}", folder.display());
            }
        }
    }
    assert_eq!(open, 3);
}
