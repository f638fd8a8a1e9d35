//! Networks that tell images apart.

use super::layers::{Layers, are_sizes, halving};
use crate::error::{Error, Result};
use crate::graph::{Graph, ValueId};
use crate::operators;
use crate::tensor::DType;

/// Three convolutions with kernels of 3x3 and relu, of which the last two are followed by the largest of each 2x2, then a hidden layer with
/// relu, and one to the classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cnn {
    /// Channels of an image.
    pub colors: usize,
    /// Rows of an image, 4 or more.
    pub height: usize,
    /// Columns of an image, 4 or more.
    pub width: usize,
    /// Channels that each convolution makes.
    pub channels: [usize; 3],
    /// Width of the hidden layer.
    pub hidden: usize,
    /// How many classes there are.
    pub classes: usize,
}

impl Default for Cnn {
    /// For digits of 28x28: 32, 64 and 64 channels, 128 hidden, 10 classes.
    fn default() -> Self {
        Cnn { colors: 1, height: 28, width: 28, channels: [32, 64, 64], hidden: 128, classes: 10 }
    }
}

impl Cnn {
    /// `image`, f32 `[batch, colors, height, width]`, to `logits`, `[batch, classes]`. Parameters: `conv1` to `conv3`, `fc1`, `fc2`.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for images too small, or a size of 0 or above 2^20.
    pub fn graph(&self, seed: u32) -> Result<Graph> {
        let Cnn { colors, height, width, channels: [a, b, c], hidden, classes } = *self;
        check_sizes("Cnn", &[colors, height / 4, width / 4, a, b, c, hidden, classes], self)?;
        let mut layers = Layers::new("cnn", seed);
        let image = layers.input("image", DType::F32, [&"batch", &colors, &height, &width]);
        let x = layers.convolution("conv1", image, [colors, a], 3, 1)?;
        let x = layers.function("relu1", "Relu", &[x])?;
        let x = layers.convolution("conv2", x, [a, b], 3, 1)?;
        let x = layers.function("relu2", "Relu", &[x])?;
        let x = layers.node("pool2", operators::max_pool(halving(), false, false), &[x]);
        let x = layers.convolution("conv3", x, [b, c], 3, 1)?;
        let x = layers.function("relu3", "Relu", &[x])?;
        let x = layers.node("pool3", operators::max_pool(halving(), false, false), &[x]);
        let logits =
            connected(&mut layers, x, "Relu", &[c.saturating_mul((height / 4).saturating_mul(width / 4)), hidden, classes])?;
        layers.finish(&[("logits", logits)])
    }
}

/// LeCun's network for digits (1998) as it is written today: two convolutions with kernels of 5x5, the first with two zeros around the
/// image, each with tanh and the mean of each 2x2; then two hidden layers with tanh, and one to the classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeNet {
    /// Channels of an image.
    pub colors: usize,
    /// Rows of an image, 12 or more.
    pub height: usize,
    /// Columns of an image, 12 or more.
    pub width: usize,
    /// Channels that each convolution makes.
    pub channels: [usize; 2],
    /// Widths of the hidden layers.
    pub hidden: [usize; 2],
    /// How many classes there are.
    pub classes: usize,
}

impl Default for LeNet {
    /// For digits of 28x28: 6 and 16 channels, 120 and 84 hidden, 10 classes.
    fn default() -> Self {
        LeNet { colors: 1, height: 28, width: 28, channels: [6, 16], hidden: [120, 84], classes: 10 }
    }
}

impl LeNet {
    /// `image`, f32 `[batch, colors, height, width]`, to `logits`, `[batch, classes]`. Parameters: `conv1`, `conv2`, `fc1` to `fc3`.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for images too small, or a size of 0 or above 2^20.
    pub fn graph(&self, seed: u32) -> Result<Graph> {
        let LeNet { colors, height, width, channels: [a, b], hidden: [f, g], classes } = *self;
        // Half, less the 4 that a kernel without zeros takes, and half of that.
        let left = |extent: usize| (extent / 2).saturating_sub(4) / 2;
        check_sizes("LeNet", &[colors, left(height), left(width), a, b, f, g, classes], self)?;
        let mut layers = Layers::new("lenet", seed);
        let mut x = layers.input("image", DType::F32, [&"batch", &colors, &height, &width]);
        for (k, channels, pad) in [(1, [colors, a], 2), (2, [a, b], 0)] {
            x = layers.convolution(&format!("conv{k}"), x, channels, 5, pad)?;
            x = layers.function(&format!("tanh{k}"), "Tanh", &[x])?;
            x = layers.node(&format!("pool{k}"), operators::average_pool(halving(), false, false), &[x]);
        }
        let logits =
            connected(&mut layers, x, "Tanh", &[b.saturating_mul(left(height).saturating_mul(left(width))), f, g, classes])?;
        layers.finish(&[("logits", logits)])
    }
}

/// Fully connected layers of these widths, `fc1` and so on, over what each element of the batch has, with a function between each and the
/// next.
fn connected(layers: &mut Layers, x: ValueId, function: &str, widths: &[usize]) -> Result<ValueId> {
    let mut x = layers.node("flat", operators::flatten(1), &[x]);
    for (k, pair) in widths.windows(2).enumerate() {
        if k > 0 {
            x = layers.function(&format!("hidden{k}"), function, &[x])?;
        }
        let widths = [pair[0], pair[1]];
        x = layers.linear(&format!("fc{}", k + 1), x, widths)?;
    }
    Ok(x)
}

/// Checks that no extent within a network is 0, or too large.
fn check_sizes(name: &str, extents: &[usize], sizes: &dyn std::fmt::Debug) -> Result<()> {
    match are_sizes(extents) {
        true => Ok(()),
        false => Err(Error::invalid_argument(format!("{name} leaves nothing of an image, or has a size out of bounds: {sizes:?}"))),
    }
}
