//! Networks that once went wrong, as small as they could be made (`scripts/fuzz` finds and shrinks them): by the references, after
//! the passes, and on the device, with run-time checks and without.

use crate::cases::Tolerance;
use crate::onnx::{by_references, by_session};
use crate::support::{difference, gpu, optimized};
use gristmill::internals::import::onnx::tensor_from_bytes;
use gristmill::{Model, Options, Tensor};
use std::fs;
use std::path::{Path, PathBuf};

const TOLERANCE: Tolerance = Tolerance { relative: 1e-3, absolute: 1e-5 };

fn folders() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults");
    let mut folders: Vec<PathBuf> = fs::read_dir(root).expect("the folder is there").map(|e| e.expect("readable").path()).collect();
    folders.retain(|path| path.is_dir());
    folders.sort();
    folders
}

/// The tensors `PREFIX0.pb`, `PREFIX1.pb`, ... of a case, with their names.
fn tensors(folder: &Path, prefix: &str) -> Vec<(String, Tensor)> {
    let path = |k: usize| folder.join(format!("test_data_set_0/{prefix}{k}.pb"));
    let files = (0..).map(path).take_while(|path| path.exists());
    files.map(|path| tensor_from_bytes(&fs::read(path).expect("readable")).expect("a tensor")).collect()
}

/// What differs from what the case expects, way by way.
fn check(folder: &Path) -> gristmill::Result<Vec<String>> {
    let model = Model::load(folder.join("model.onnx"))?;
    let given = tensors(folder, "input_");
    let find = |name: &str| given.iter().find(|(own, _)| own == name).map(|(_, t)| t.clone()).expect("an input of that name");
    let ordered = |graph: &gristmill::internals::graph::Graph| -> Vec<Tensor> {
        graph.inputs().iter().map(|i| find(&graph.values()[i.value.index()].name)).collect()
    };
    let inputs = ordered(model.graph());
    let expected = tensors(folder, "output_");
    let mut ways = vec![("references", by_references(&model, &inputs)?)];
    if let Some(graph) = optimized(model.graph(), &inputs, gpu().caps())? {
        let inputs = ordered(&graph);
        ways.push(("references after the passes", by_references(&Model::from_graph(graph), &inputs)?));
    }
    ways.push(("device", by_session(&model, &inputs, Options::default())?));
    ways.push(("device, checked", by_session(&model, &inputs, Options { checked: true, ..Options::default() })?));
    let differ = |(way, outputs): (&str, Vec<Tensor>)| {
        assert_eq!(outputs.len(), expected.len());
        let pairs = outputs.iter().zip(&expected);
        pairs
            .filter_map(|(found, (name, right))| Some(format!("{way}, {name}: {}", difference(found, right, TOLERANCE)?)))
            .collect()
    };
    Ok(ways.into_iter().flat_map(|way| -> Vec<String> { differ(way) }).collect())
}

#[test]
fn faults_stay_mended() {
    let folders = folders();
    assert!(!folders.is_empty());
    let mut failures = Vec::new();
    for folder in &folders {
        let found = check(folder).unwrap_or_else(|error| vec![error.to_string()]);
        failures.extend(found.into_iter().map(|text| format!("{}: {text}", folder.file_name().unwrap_or_default().display())));
    }
    assert!(failures.is_empty(), "{} failures in {} cases:\n{}", failures.len(), folders.len(), failures.join("\n"));
}
