//! Networks of convolutions.

use super::Mode;
use super::layers::Layers;
use gristmill::graph::ValueId;
use gristmill::operators::{self, SlidingWindow};

/// Windows of two by two that do not overlap; what is left at the ends is left out.
fn halving() -> SlidingWindow {
    SlidingWindow { kernel_shape: vec![2, 2], strides: vec![2, 2], ..SlidingWindow::default() }
}

/// How many layers of a name there are: `NAME1`, `NAME2`, ...
fn count(layers: &Layers<'_>, name: &str) -> usize {
    (1..).take_while(|k| layers.has(&format!("{name}{k}.weight"))).count()
}

/// The fully connected layers, with a function between each and the next.
fn connected(layers: &mut Layers<'_>, mut x: ValueId, function: &str) -> ValueId {
    x = layers.apply(operators::flatten(1), &[x]);
    for k in 1..=count(layers, "fc") {
        if k > 1 {
            x = layers.function(function, &[x]);
        }
        x = layers.linear(&format!("fc{k}"), x);
    }
    x
}

/// Padded convolutions with relu, after each but the first the larger of four, then fully connected layers.
pub fn cnn(layers: &mut Layers<'_>) -> ValueId {
    let mut x = layers.data("input");
    for k in 1..=count(layers, "conv") {
        x = layers.convolution(&format!("conv{k}"), x, true, None);
        x = layers.function("Relu", &[x]);
        if k > 1 {
            x = layers.apply(operators::max_pool(halving(), false, false), &[x]);
        }
    }
    connected(layers, x, "Relu")
}

/// Convolutions with tanh, the first of them padded, after each the mean of four, then fully connected layers.
pub fn lenet(layers: &mut Layers<'_>) -> ValueId {
    let mut x = layers.data("input");
    for k in 1..=count(layers, "conv") {
        x = layers.convolution(&format!("conv{k}"), x, k == 1, None);
        x = layers.function("Tanh", &[x]);
        x = layers.apply(operators::average_pool(halving(), false, false), &[x]);
    }
    connected(layers, x, "Tanh")
}

/// Two convolutions with batch normalization and relu, the second with a stride of 2, the mean over the image, a fully connected layer.
pub fn batchnorm_cnn(layers: &mut Layers<'_>) -> ValueId {
    let mut x = layers.data("input");
    for (k, padded, stride) in [(1, true, 1), (2, false, 2)] {
        x = layers.convolution(&format!("conv{k}"), x, padded, Some(stride));
        x = batch_normalized(layers, &format!("bn{k}"), x);
        x = layers.function("Relu", &[x]);
    }
    x = layers.mean(x, &[2, 3], false);
    layers.linear("fc", x)
}

/// Batch normalization of images. In training the running statistics follow those of the batch, whose variance is then the unbiased one.
fn batch_normalized(layers: &mut Layers<'_>, name: &str, x: ValueId) -> ValueId {
    let (momentum, epsilon) = (layers.file.number("momentum"), layers.file.number("epsilon"));
    let [scale, bias] = ["weight", "bias"].map(|part| layers.parameter(&format!("{name}.{part}")));
    let names = ["mean", "var"].map(|part| format!("{name}.running_{part}"));
    let running = [&names[0], &names[1]].map(|state| layers.buffer(state));
    if layers.mode == Mode::Evaluation {
        for (state, held) in names.iter().zip(running) {
            layers.builder.write_state(state, held).expect("it is not written yet");
        }
        return layers.apply(operators::batch_normalization(epsilon as f32), &[x, scale, bias, running[0], running[1]]);
    }
    let axes = [0, 2, 3];
    let mean = layers.mean(x, &axes, true);
    let centered = layers.function("Sub", &[x, mean]);
    let square = layers.function("Mul", &[centered, centered]);
    let variance = layers.mean(square, &axes, true);
    let unbiased = unbiased(layers, variance, x);
    for ((state, held), batch) in names.iter().zip(running).zip([mean, unbiased]) {
        let batch = layers.reshaped(batch, &[-1]);
        let kept = layers.with_number("Mul", held, 1.0 - momentum);
        let new = layers.with_number("Mul", batch, momentum);
        let next = layers.function("Add", &[kept, new]);
        layers.builder.write_state(state, next).expect("it is not written yet");
    }
    let deviation = layers.with_number("Add", variance, epsilon);
    let deviation = layers.function("Sqrt", &[deviation]);
    let normal = layers.function("Div", &[centered, deviation]);
    let [scale, bias] = [scale, bias].map(|parameter| layers.reshaped(parameter, &[1, -1, 1, 1]));
    let scaled = layers.function("Mul", &[normal, scale]);
    layers.function("Add", &[scaled, bias])
}

/// The unbiased variance of all numbers of a channel, from the biased one.
fn unbiased(layers: &mut Layers<'_>, variance: ValueId, x: ValueId) -> ValueId {
    let [all, channels] = [x, variance].map(|value| {
        let size = layers.apply(operators::size(), &[value]);
        layers.apply(operators::cast_like(), &[size, x])
    });
    let count = layers.function("Div", &[all, channels]);
    let rest = layers.with_number("Sub", count, 1.0);
    let factor = layers.function("Div", &[count, rest]);
    layers.function("Mul", &[variance, factor])
}
