//! The networks under `tests/models`, as files of their own and back.

use super::keeps;
use crate::models::{data_sets, folders};
use gristmill::{Model, Structure};

#[test]
fn networks_come_back_as_they_were() {
    let mut failures = Vec::new();
    for folder in folders() {
        let model = Model::load(folder.join("model.onnx")).expect("the networks import");
        for (inputs, _) in data_sets(&folder).into_iter().take(1) {
            let inputs: Vec<_> = inputs.into_iter().map(Structure::Tensor).collect();
            match keeps(&model, &inputs) {
                Ok(difference) => failures.extend(difference.map(|difference| format!("{}: {difference}", folder.display()))),
                Err(error) => failures.push(format!("{}: {error:?}", folder.display())),
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}
