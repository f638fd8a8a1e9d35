//! The 20 networks under `tests/models`, against the numbers of the frameworks they came from.

use crate::cases::Tolerance;
use crate::support::difference;
use gristmill::graph::evaluate;
use gristmill::import::onnx::tensor_from_bytes;
use gristmill::{Model, Tensor};
use std::fs;
use std::path::{Path, PathBuf};

/// Other frameworks sum in other orders.
const TOLERANCE: Tolerance = Tolerance { relative: 1e-3, absolute: 1e-4 };

/// The folders of all networks.
fn folders() -> Vec<PathBuf> {
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
fn data_sets(folder: &Path) -> Vec<(Vec<Tensor>, Vec<Tensor>)> {
    (0..)
        .map(|k| folder.join(format!("test_data_set_{k}")))
        .take_while(|set| set.is_dir())
        .map(|set| (tensors(&set, "input_"), tensors(&set, "output_")))
        .collect()
}

#[test]
fn references_agree_with_the_frameworks() {
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
        let graph = model.graph();
        for (inputs, expected) in data_sets(&folder) {
            assert!(!expected.is_empty(), "{name} has no expected outputs");
            let values = match evaluate(graph, &inputs) {
                Ok(values) => values,
                Err(error) => {
                    failures.push(format!("{name}: {error:?}"));
                    continue;
                }
            };
            for (output, expected) in graph.outputs().iter().zip(&expected) {
                let found = values[output.index()].as_ref().expect("every output is computed");
                failures.extend(
                    difference(found, expected, TOLERANCE).map(|d| format!("{name}, output `{}`: {d}", graph.value(*output).name)),
                );
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}
