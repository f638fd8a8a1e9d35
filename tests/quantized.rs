//! Products with quantized weights, against ONNX Runtime's numbers (`tests/quantized/make.py`).

use crate::cases::Tolerance;
use crate::models::data_sets;
use crate::onnx::{by_references, by_session};
use crate::support::{difference, gpu};
use gristmill::internals::graph::{Builder, Dim};
use gristmill::internals::ops::{dequantize::dequantize_linear, matmul::matmul};
use gristmill::{DType, Error, Model, Options, Session, Tensor};
use std::fs;
use std::path::{Path, PathBuf};

/// ONNX Runtime sums in another order.
const TOLERANCE: Tolerance = Tolerance { relative: 1e-4, absolute: 1e-4 };

fn folders() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/quantized");
    let entries = fs::read_dir(root).expect("the folder is there").map(|e| e.expect("it can be read").path());
    let mut folders: Vec<PathBuf> = entries.filter(|p| p.is_dir()).collect();
    folders.sort();
    assert_eq!(folders.len(), 13);
    folders
}

fn check(run: impl Fn(&Model, &[Tensor]) -> Result<Vec<Tensor>, Error>) {
    let mut failures = Vec::new();
    for folder in folders() {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let model = Model::load(folder.join("model.onnx")).unwrap_or_else(|e| panic!("{name}: {e:?}"));
        let sets = data_sets(&folder);
        assert!(!sets.is_empty(), "{name} has no data");
        for (inputs, expected) in sets {
            match run(&model, &inputs) {
                Err(error) => failures.push(format!("{name}: {error:?}")),
                Ok(found) => {
                    let pairs = found.iter().zip(&expected);
                    failures.extend(pairs.filter_map(|(f, e)| difference(f, e, TOLERANCE).map(|d| format!("{name}: {d}"))));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn references_agree_with_onnx_runtime() {
    check(by_references);
}

#[test]
fn the_device_agrees_with_onnx_runtime() {
    check(|model, inputs| by_session(model, inputs, Options::default()));
}

/// What the device runs for a folder's model: one line for each step.
fn steps(folder: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/quantized").join(folder);
    let model = Model::load(folder.join("model.onnx")).expect("the model is valid");
    let (inputs, _) = data_sets(&folder).swap_remove(0);
    let session = Session::new_blocking(gpu(), &model, Options::default()).expect("the model has a plan");
    let name = session.inputs()[0].name.clone();
    session.plan(&[(&name, inputs[0].view())]).expect("the model has a plan").to_string()
}

#[test]
fn quantized_weights_stay_quantized() {
    for folder in ["bits4", "bits8_zero_points", "int8_columns", "uint8_columns", "int8_tensor"] {
        let steps = steps(folder);
        assert!(steps.contains("MatMulNBits") && !steps.contains("host"), "{folder}:\n{steps}");
    }
    let bias = steps("bits4_bias");
    assert!(
        bias.contains("MatMulNBits") && bias.lines().count() == steps("bits4").lines().count(),
        "the bias is not fused:\n{bias}"
    );
}

#[test]
fn plans_of_a_session_share_dequantized_weights() {
    let mut b = Builder::new("shared");
    let x = b.input("x", DType::F32, &[Dim::Named("rows".into()), Dim::Known(32)]);
    let bits: Vec<i8> = (0..32 * 48).map(|i| (i * 37 % 256 - 128) as i8).collect();
    let bits = b.constant("bits", Tensor::new([32, 48], &bits).expect("as many elements"));
    let scale = b.constant("scale", Tensor::scalar(0.01f32));
    let weights = b.node("weights", dequantize_linear(1, None), &[Some(bits), Some(scale)]);
    let y = b.node("y", matmul(), &[Some(x), Some(weights)]);
    b.output("y", y).expect("the name is free");
    let model = Model::from_graph(b.finish().expect("the graph is sound"));
    // Buffers that each of these runs makes in one session, and the constants of its plan.
    let made = |rows: &[usize]| {
        let session = Session::new_blocking(gpu(), &model, Options::default()).expect("the model is sound");
        let mut made = Vec::new();
        for rows in rows {
            let x = Tensor::new([*rows, 32], &vec![1f32; rows * 32]).expect("as many elements");
            let before = session.counters().buffers;
            session.run_blocking(&[("x", x.view())]).expect("it can run");
            let plan = session.plan(&[("x", x.view())]).expect("it can be planned");
            assert!(plan.to_string().contains("MatMulNBits"), "{plan}");
            made.push((session.counters().buffers - before, plan.weights.len() as u64));
        }
        made
    };
    // Different numbers of rows that the same kernel serves.
    let ([(alone, constants)], [_, (second, _)]) = (&made(&[40])[..], &made(&[41, 40])[..]) else { panic!("as many as runs") };
    assert!(*constants >= 2, "bits and scales");
    assert_eq!(alone - second, *constants);
}
