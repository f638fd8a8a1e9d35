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

/// A model that makes three rows of so many elements of each element of `x`, shape `[batch, 1]`, and needs all of them at a time. It returns the
/// greatest element of their sum, which is little more than the element was.
pub fn widening(width: usize) -> Vec<u8> {
    let mut b = Builder::new("widening");
    let x = b.input("x", DType::F32, &[Dim::Named("batch".into()), Dim::Known(1)]);
    let mut first = vec![0.0f32; width];
    first[0] = 1.0;
    let first = b.constant("first", Tensor::new([1, width], &first).expect("it fits"));
    let axis = b.constant("axis", Tensor::vector(&[1i64]));
    let binary = |name: &str| operators::binary(name).expect("there is one");
    let wide = b.node("wide", binary("Mul"), &[Some(x), Some(first)]);
    let once = b.node("once", operators::softmax(1), &[Some(wide)]);
    let twice = b.node("twice", operators::softmax(1), &[Some(once)]);
    let sum = b.node("sum", binary("Add"), &[Some(wide), Some(once)]);
    let sum = b.node("sums", binary("Add"), &[Some(sum), Some(twice)]);
    let y = b.node("y", operators::reduce(operators::Reduction::Max, None, true, false), &[Some(sum), Some(axis)]);
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

/// A model of a state `held` of two elements, to which `x` is added: it returns ten times what it holds then. The state is the output `next`.
pub fn accumulating() -> Vec<u8> {
    let mut b = Builder::new("accumulating");
    let x = b.input("x", DType::F32, &[Dim::Known(2)]);
    let held = b.input("held", DType::F32, &[Dim::Known(2)]);
    let next = b.node("next", operators::binary("Add").expect("there is one"), &[Some(x), Some(held)]);
    let ten = b.constant("ten", Tensor::scalar(10.0f32));
    let y = b.node("y", operators::binary("Mul").expect("there is one"), &[Some(next), Some(ten)]);
    b.output("y", y).expect("it is a value");
    b.output("next", next).expect("it is a value");
    onnx(b)
}

/// A repository with the model `sum`, which is [`accumulating`], and this configuration behind that of its state.
pub fn summing(name: &str, config: &str) -> PathBuf {
    let repository = empty(name);
    put(&repository, "sum", &accumulating(), &format!("states = [[\"next\", \"held\"]]\n{config}"));
    repository
}

/// The numbers of each of the eleven tokens that [`attending`] knows, four for each.
pub fn attending_table() -> Vec<f32> {
    (0..44).map(|k| ((k * 37 % 23) as f32 - 11.0) / 12.0).collect()
}

/// A model of one head of attention over `ids` of shape `[batch, sequence]`, of which `mask` says with 1 which are there. It returns `hidden`, four
/// numbers for each of them, and `pooled`, their mean over those that are there.
pub fn attending() -> Vec<u8> {
    let mut b = Builder::new("attending");
    let dims = [Dim::Named("batch".into()), Dim::Named("sequence".into())];
    let (ids, mask) = (b.input("ids", DType::I64, &dims), b.input("mask", DType::I64, &dims));
    let binary = |name: &str| operators::binary(name).expect("there is one");
    let table = b.constant("table", Tensor::new([11, 4], &attending_table()).expect("it fits"));
    let axis = |b: &mut Builder, axis: i64| b.constant(&format!("axis{axis}"), Tensor::vector(&[axis]));
    let (one, last) = (axis(&mut b, 1), axis(&mut b, -1));
    let values = b.node("values", operators::gather(0), &[Some(table), Some(ids)]);
    let keys = b.node("keys", operators::transpose(Some(vec![0, 2, 1])), &[Some(values)]);
    let scores = b.node("scores", operators::matmul(), &[Some(values), Some(keys)]);
    let there = b.node("there", operators::cast(DType::F32).expect("it is one"), &[Some(mask)]);
    let (number, huge) = (b.constant("number", Tensor::scalar(1.0f32)), b.constant("huge", Tensor::scalar(1e9f32)));
    let absent = b.node("absent", binary("Sub"), &[Some(there), Some(number)]);
    let bias = b.node("bias", binary("Mul"), &[Some(absent), Some(huge)]);
    let bias = b.node("bias.rows", operators::unsqueeze(), &[Some(bias), Some(one)]);
    let masked = b.node("masked", binary("Add"), &[Some(scores), Some(bias)]);
    let weights = b.node("weights", operators::softmax(-1), &[Some(masked)]);
    let hidden = b.node("hidden", operators::matmul(), &[Some(weights), Some(values)]);
    let counted = b.node("counted", operators::unsqueeze(), &[Some(there), Some(last)]);
    let kept = b.node("kept", binary("Mul"), &[Some(hidden), Some(counted)]);
    let sum = |keep: bool| operators::reduce(operators::Reduction::Sum, None, keep, false);
    let total = b.node("total", sum(false), &[Some(kept), Some(one)]);
    let count = b.node("count", sum(false), &[Some(counted), Some(one)]);
    let pooled = b.node("pooled", binary("Div"), &[Some(total), Some(count)]);
    b.output("hidden", hidden).expect("it is a value");
    b.output("pooled", pooled).expect("it is a value");
    onnx(b)
}

/// A model that returns its input `ids` of shape `[batch, sequence]` twice, one behind the other.
pub fn recurring() -> Vec<u8> {
    let mut b = Builder::new("recurring");
    let ids = b.input("ids", DType::I64, &[Dim::Named("batch".into()), Dim::Named("sequence".into())]);
    let twice = b.node("twice", operators::concat(1), &[Some(ids), Some(ids)]);
    b.output("twice", twice).expect("it is a value");
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
