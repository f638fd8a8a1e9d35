//! Model repositories that tests make.

use gristmill::graph::{Builder, Dim};
use gristmill::{DType, Model, Tensor, operators};
use std::fs;
use std::path::{Path, PathBuf};

/// The models that come with the project.
pub fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/models")
}

/// An empty folder of this name.
pub fn empty(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::remove_dir_all(&folder).ok();
    fs::create_dir_all(&folder).expect("it can be made");
    folder
}

/// A model that multiplies its input `x` of shape `[batch, width]` by a number.
pub fn times(factor: f32, width: usize) -> Vec<u8> {
    multiplying(factor, &[Dim::Named("batch".into()), Dim::Known(width)])
}

/// A model that multiplies its input `x` of these extents by a number.
pub fn multiplying(factor: f32, dims: &[Dim]) -> Vec<u8> {
    let mut b = Builder::new("times");
    let x = b.input("x", DType::F32, dims);
    let factor = b.constant("factor", Tensor::scalar(factor));
    let y = b.node("y", operators::binary("Mul").expect("there is one"), &[Some(x), Some(factor)]);
    b.output("y", y).expect("it is a value");
    onnx(b)
}

/// A model whose inputs have each a type of its own, and which returns them.
pub fn typed() -> Vec<u8> {
    let mut b = Builder::new("typed");
    for dtype in DType::ALL {
        let name = dtype.to_string();
        let x = b.input(&name, dtype, &[Dim::Named("n".into())]);
        let y = b.node(&format!("{name}.same"), operators::concat(0), &[Some(x)]);
        b.output(&format!("{name}_out"), y).expect("it is a value");
    }
    onnx(b)
}

fn onnx(b: Builder) -> Vec<u8> {
    Model::from_graph(b.finish().expect("it is whole")).to_onnx().expect("it can be written")
}

/// Puts a model into a repository.
pub fn put(repository: &Path, name: &str, model: &[u8], config: &str) {
    let folder = repository.join(name);
    fs::create_dir_all(&folder).expect("it can be made");
    fs::write(folder.join("model.onnx"), model).expect("it can be written");
    fs::write(folder.join("model.toml"), config).expect("it can be written");
}

/// A repository with the model `double`, whose rows have two elements, and this configuration.
pub fn doubling(name: &str, config: &str) -> PathBuf {
    let repository = empty(name);
    put(&repository, "double", &times(2.0, 2), config);
    repository
}
