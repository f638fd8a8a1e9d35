//! Small models about what the importer decides (`tests/imports/make.py`): branches, defaults, quantized types. Each data set names the
//! inputs that it gives.

use crate::cases::F32;
use crate::support::{difference, gpu};
use gristmill::internals::import::onnx::tensor_from_bytes;
use gristmill::{ErrorKind, Model, Options, Session, Tensor, TensorType, TensorView};
use std::fs;
use std::path::{Path, PathBuf};

type Named = Vec<(String, Tensor)>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/imports")
}

fn named(folder: &Path, prefix: &str) -> Named {
    (0..)
        .map_while(|k| fs::read(folder.join(format!("{prefix}_{k}.pb"))).ok())
        .map(|bytes| tensor_from_bytes(&bytes).expect("test data are tensors"))
        .collect()
}

fn views(inputs: &Named) -> Vec<(&str, TensorView<'_>)> {
    inputs.iter().map(|(name, tensor)| (name.as_str(), tensor.view())).collect()
}

/// One session for all data sets of a model, so that no run is taken for another.
fn check(session: impl Fn(&Model) -> Session) {
    let mut failures = Vec::new();
    let folders = fs::read_dir(root()).expect("the folder is there").map(|e| e.expect("it can be read").path());
    for folder in folders.filter(|path| path.is_dir()) {
        let model = Model::load(folder.join("model.onnx")).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        let session = session(&model);
        for set in (0..).map(|k| folder.join(format!("test_data_set_{k}"))).take_while(|set| set.is_dir()) {
            let (inputs, expected) = (named(&set, "input"), named(&set, "output"));
            assert!(!expected.is_empty(), "{} has no expected outputs", set.display());
            match session.run_blocking(&views(&inputs)) {
                Err(error) => failures.push(format!("{}: {error:?}", set.display())),
                Ok(found) => failures.extend(expected.iter().filter_map(|(name, expected)| {
                    difference(&found[name.as_str()], expected, F32).map(|d| format!("{}: {name}: {d}", set.display()))
                })),
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn references_agree_with_numpy() {
    check(|model| Session::cpu(model, Options::default()).expect("a session"));
}

#[test]
fn the_device_agrees_with_numpy() {
    check(|model| Session::new_blocking(gpu(), model, Options::default()).expect("a session"));
}

#[test]
fn an_input_with_a_default_is_listed_as_one() {
    let model = Model::load(root().join("default/model.onnx")).expect("it imports");
    let session = Session::cpu(&model, Options::default()).expect("a session");
    let names = |inputs: &[gristmill::InputInfo]| inputs.iter().map(|i| i.name.clone()).collect::<Vec<_>>();
    assert_eq!((names(session.inputs()), names(session.defaults())), (vec!["x".into()], vec!["w".into()]));
    let declared: Vec<&str> = model.graph().declared().iter().map(|i| model.graph().value(i.value).name.as_str()).collect();
    assert_eq!(declared, ["w", "x"]);
    let x = Tensor::vector(&[1.0f32, 2.0, 3.0]);
    let short = Tensor::vector(&[1.0f32, 2.0]);
    let error = session.run_blocking(&[("x", x.view()), ("w", short.view())]).expect_err("the shape is another");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn plans_depend_on_which_defaults_are_given() {
    let model = Model::load(root().join("default/model.onnx")).expect("it imports");
    let session = Session::cpu(&model, Options::default()).expect("a session");
    let three = |name| (name, TensorType::new(gristmill::DType::F32, [3]));
    let weights = |inputs: &[(&str, TensorType)]| session.explain(inputs).expect("a plan").weight_bytes;
    assert_eq!(weights(&[three("x")]), 12);
    assert_eq!(weights(&[three("w"), three("x")]), 0);
}

#[test]
fn initializers_that_old_files_list_are_no_inputs() {
    let model = Model::load(root().join("listed_initializer/model.onnx")).expect("it imports");
    assert_eq!((model.graph().inputs().len(), model.graph().defaults().len()), (1, 0));
}
