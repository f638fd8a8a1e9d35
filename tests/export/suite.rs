//! The public ONNX backend suite: what is imported is exported, and imported again.

use super::{differ, forms, given, named};
use crate::onnx::{archive, values, values_by_references};
use gristmill::{ErrorKind, Model};

#[test]
fn the_onnx_suite_comes_back_as_it_was() {
    let wanted = std::env::var("ONNX_CASES").unwrap_or_default();
    let (mut failures, mut passed, mut refused) = (Vec::new(), 0, 0);
    for (name, case) in archive().iter().filter(|(name, _)| name.contains(&wanted)) {
        let Ok(model) = Model::from_bytes(&case["model.onnx"], None) else { continue };
        let Ok(inputs) = values(case, "test_data_set_0/input_", &forms(&model)) else { continue };
        let Ok(expected) = values_by_references(&model, &inputs) else { continue };
        let again = match super::again(&model) {
            Ok(again) => again,
            Err(error) if error.kind() == ErrorKind::Unsupported && error.message().starts_with("ONNX has no form") => {
                println!("{name}: {}", error.message());
                refused += 1;
                continue;
            }
            Err(error) => {
                failures.push(format!("{name}: {error:?}"));
                continue;
            }
        };
        match values_by_references(&again, &given(&again, &named(&model, &inputs))) {
            Ok(found) => match differ(&found, &expected) {
                Some(difference) => failures.push(format!("{name}: {difference}")),
                None => passed += 1,
            },
            Err(error) => failures.push(format!("{name}: {error:?}")),
        }
    }
    println!("{passed} passed, {refused} refused");
    assert!(failures.is_empty(), "{} failures, {passed} passed:\n{}", failures.len(), failures.join("\n"));
}
