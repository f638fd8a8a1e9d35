//! Networks of attention.

use super::layers::Layers;
use gristmill::graph::ValueId;
use gristmill::operators::{self, Attention, SlidingWindow};

/// Of layer norms, which have no other.
const EPSILON: f32 = 1e-5;

fn normalized(layers: &mut Layers<'_>, name: &str, x: ValueId) -> ValueId {
    let [weight, bias] = ["weight", "bias"].map(|part| layers.parameter(&format!("{name}.{part}")));
    layers.apply(operators::layer_normalization(-1, EPSILON), &[x, weight, bias])
}

/// Self-attention of heads: queries, keys and values are the thirds of one product, each of them head by head.
fn attend(layers: &mut Layers<'_>, name: &str, x: ValueId, causal: bool) -> ValueId {
    let (heads, width) = (layers.file.heads(), layers.file.shape(&format!("{name}.weight"))[1]);
    let size = width / heads;
    let x = layers.linear(name, x);
    let x = layers.reshaped(x, &[0, 0, 3, heads as i64, size as i64]);
    let x = layers.transposed(x, &[2, 0, 3, 1, 4]);
    let first = layers.integers(&[0]);
    let parts = layers.apply_all(operators::split(0, 3), &[Some(x)], &[true; 3]);
    let parts: Vec<ValueId> = parts.into_iter().map(|part| layers.apply(operators::squeeze(), &[part, first])).collect();
    let attention = Attention { causal, ..Attention::new((1.0 / (size as f64).sqrt()) as f32) };
    let x = layers.apply(operators::attention(attention), &parts);
    let x = layers.transposed(x, &[0, 2, 1, 3]);
    layers.reshaped(x, &[0, 0, -1])
}

/// A block whose layers are named after it: attention and a pair of fully connected layers, each on what is normalized, and added.
fn block(layers: &mut Layers<'_>, prefix: &str, x: ValueId, causal: bool) -> ValueId {
    let named = |layer: &str| format!("{prefix}{layer}");
    let normal = normalized(layers, &named("n1"), x);
    let seen = attend(layers, &named("qkv"), normal, causal);
    let seen = layers.linear(&named("proj"), seen);
    let x = layers.function("Add", &[x, seen]);
    let normal = normalized(layers, &named("n2"), x);
    let up = layers.linear(&named("up"), normal);
    let up = layers.function("Gelu", &[up]);
    let down = layers.linear(&named("down"), up);
    layers.function("Add", &[x, down])
}

/// Tokens and positions, a block with causal attention, a product.
pub fn transformer_lm(layers: &mut Layers<'_>) -> ValueId {
    let ids = layers.data("input");
    let tokens = layers.embedding("tok", ids);
    let positions = layers.parameter("pos.weight");
    let length = layers.data_shape("input")[1] as i64;
    let [first, end] = [0, length].map(|place| layers.integers(&[place]));
    let positions = layers.apply(operators::slice(), &[positions, first, end]);
    let x = layers.function("Add", &[tokens, positions]);
    let x = block(layers, "", x, true);
    layers.linear("head", x)
}

/// Patches of images behind a token for their class, positions, blocks, a product of what becomes of that token.
pub fn vit_tiny(layers: &mut Layers<'_>) -> ValueId {
    let images = layers.data("input");
    let patch = layers.file.shape("patch.weight");
    let steps: Vec<i64> = patch[2..].iter().map(|extent| *extent as i64).collect();
    let window = SlidingWindow { strides: steps, ..SlidingWindow::default() };
    let inputs = [images, layers.parameter("patch.weight"), layers.parameter("patch.bias")];
    let x = layers.apply(operators::conv(window, 1), &inputs);
    let x = layers.reshaped(x, &[0, 0, -1]);
    let x = layers.transposed(x, &[0, 2, 1]);
    let class = layers.parameter("cls");
    let batch = layers.data_shape("input")[0] as i64;
    let extents = layers.integers(&[batch, 1, 1]);
    let class = layers.apply(operators::expand(), &[class, extents]);
    let x = layers.apply(operators::concat(1), &[class, x]);
    let positions = layers.parameter("pos");
    let mut x = layers.function("Add", &[x, positions]);
    for k in (0..).take_while(|k| layers.file.held(&format!("blocks.{k}.qkv.weight")).is_some()).collect::<Vec<usize>>() {
        x = block(layers, &format!("blocks.{k}."), x, false);
    }
    let x = normalized(layers, "norm", x);
    let first = layers.builder.constant("first", gristmill::Tensor::scalar(0i64));
    let x = layers.apply(operators::gather(1), &[x, first]);
    layers.linear("head", x)
}

/// Attention whose keys are convolved over their positions, which are a line or a grid, by a kernel for each channel; the mean over
/// positions; a fully connected layer.
pub fn conv_attention(layers: &mut Layers<'_>) -> ValueId {
    let x = layers.data("input");
    let width = layers.file.shape("w")[0];
    let [q, k, v] = ["q", "k", "v"].map(|name| layers.linear(name, x));
    let keys = layers.transposed(k, &[0, 2, 1]);
    let grid = [&[0, 0], &layers.file.list("grid")[..]].concat();
    let keys = layers.reshaped(keys, &grid);
    let kernel = layers.file.shape("w")[2..].to_vec();
    let pads: Vec<i64> = kernel.iter().map(|extent| *extent as i64 / 2).collect();
    let window = SlidingWindow { pads: [pads.clone(), pads].concat(), ..SlidingWindow::default() };
    let w = layers.parameter("w");
    let keys = layers.apply(operators::conv(window, width as i64), &[keys, w]);
    let keys = layers.reshaped(keys, &[0, 0, -1]);
    let scores = layers.apply(operators::matmul(), &[q, keys]);
    let scores = layers.with_number("Mul", scores, 1.0 / (width as f64).sqrt());
    let weights = layers.apply(operators::softmax(-1), &[scores]);
    let seen = layers.apply(operators::matmul(), &[weights, v]);
    let mean = layers.mean(seen, &[1], false);
    layers.linear("fc", mean)
}
