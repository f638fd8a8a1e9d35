//! Speech into labels without knowing where they stand (Graves et al. 2013).

use super::initial::Initial;
use super::layers::{Layers, are_sizes};
use super::recurrent::Gru;
use crate::error::{Error, Result};
use crate::graph::{Graph, ValueId};
use crate::operators::{self, PadMode, SlidingWindow};
use crate::tensor::{DType, Tensor};

/// How frames become fewer before the first layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Subsampling {
    /// They stay as many.
    #[default]
    None,
    /// So many neighbours become one frame, side by side. Where some are missing at the end, zeros stand for them.
    Stacked(usize),
    /// A convolution along time with relu, `subsample`.
    Convolved {
        /// How many frames it sees at once: an odd number.
        kernel: usize,
        /// How many frames become one.
        stride: usize,
        /// How many bands it makes.
        channels: usize,
    },
}

/// GRUs in both directions, one above the other, and a fully connected layer to labels and a blank, class 0, for connectionist temporal
/// classification ([`LossKind::ctc`](crate::train::LossKind::ctc)).
///
/// Parameters: `gru`, `fc`, and `subsample` where frames are convolved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speech {
    /// Numbers in a frame.
    pub bands: usize,
    /// How frames become fewer.
    pub subsampling: Subsampling,
    /// Width of the states of one direction.
    pub hidden: usize,
    /// How many GRUs there are.
    pub layers: usize,
    /// How much is dropped of what goes from layer to layer.
    pub dropout: f64,
    /// How many classes there are, the blank among them.
    pub classes: usize,
}

impl Speech {
    /// From frames of so many bands to so many classes: three layers, 256 wide in either direction, two frames at a time.
    pub fn new(bands: usize, classes: usize) -> Self {
        Speech { bands, subsampling: Subsampling::Stacked(2), hidden: 256, layers: 3, dropout: 0.0, classes }
    }

    /// `features`, f32 `[batch, time, bands]`, of which `feature_lengths`, i64 `[batch]`, count, to `logits` and their `log_probabilities`, `[frames, batch,
    /// classes]`, of which `frame_lengths`, i64 `[batch]`, count.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for a size of 0 or above 2^20, or an even kernel.
    pub fn graph(&self, seed: u32) -> Result<Graph> {
        let mut layers = Layers::new("speech", seed);
        let outputs = self.write(&mut layers)?;
        layers.finish(&outputs)
    }

    /// The same with the likeliest `labels`, i64 `[batch, frames]`, of which `label_lengths`, `[batch]`, count, and the others are -1: what an evaluation says
    /// beside training. ONNX has no form of it.
    ///
    /// ```
    /// use gristmill::models::Speech;
    /// use gristmill::train::{self, LossKind, NamedLoss};
    ///
    /// let network = Speech { hidden: 8, layers: 1, ..Speech::new(13, 40) }.learning(1)?;
    /// let learning = train::with_loss(&network, &NamedLoss::new(LossKind::ctc(), "logits"))?;
    /// let inputs: Vec<&str> = learning.inputs().iter().map(|input| learning.value(input.value).name.as_str()).collect();
    /// assert_eq!(inputs, ["features", "feature_lengths", "target", "target_lengths"]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`graph`](Speech::graph).
    pub fn learning(&self, seed: u32) -> Result<Graph> {
        let mut layers = Layers::new("speech", seed);
        let mut outputs = self.write(&mut layers)?.to_vec();
        let decoded = ["labels", "label_lengths"].map(|name| (name, layers.builder.value(name, None)));
        let inputs = outputs.iter().filter(|(name, _)| *name != "log_probabilities").map(|(_, value)| Some(*value)).collect();
        layers.builder.push(
            "decoded",
            operators::ctc_greedy_decode(0),
            inputs,
            decoded.iter().map(|(_, value)| Some(*value)).collect(),
        );
        outputs.extend(decoded);
        layers.finish(&outputs)
    }

    /// The network: its outputs by their names.
    fn write(&self, layers: &mut Layers) -> Result<[(&'static str, ValueId); 3]> {
        self.check()?;
        let features = layers.input("features", DType::F32, [&"batch", &"time", &self.bands]);
        let lengths = layers.input("feature_lengths", DType::I64, [&"batch"]);
        let (frames, lengths, inputs) = self.subsampled(layers, features, lengths)?;
        let counted = layers.cast("frame_lengths.i32", lengths, DType::I32)?;
        let Speech { hidden, dropout, classes, .. } = *self;
        let gru = Gru { name: "gru", inputs, hidden, layers: self.layers, bidirectional: true, dropout };
        let states = gru.write(layers, frames, Some(counted), &[])?.all;
        let logits = layers.linear("fc", states, [2 * hidden, classes])?;
        let logarithms = layers.node("logarithms", operators::log_softmax(-1), &[logits]);
        Ok([("logits", logits), ("log_probabilities", logarithms), ("frame_lengths", lengths)])
    }

    fn check(&self) -> Result<()> {
        let fits = match self.subsampling {
            Subsampling::None => true,
            Subsampling::Stacked(count) => are_sizes(&[count]),
            Subsampling::Convolved { kernel, stride, channels } => kernel % 2 == 1 && are_sizes(&[kernel, stride, channels]),
        };
        match fits && are_sizes(&[self.bands, self.hidden, self.layers, self.classes]) {
            true => Ok(()),
            false => Err(Error::invalid_argument(format!("a size is out of bounds, or a kernel even: {self:?}"))),
        }
    }

    /// Frames by time, `[frames, batch, inputs]`, how many of each sequence count, and the inputs of each.
    fn subsampled(&self, layers: &mut Layers, features: ValueId, lengths: ValueId) -> Result<(ValueId, ValueId, usize)> {
        match self.subsampling {
            Subsampling::None | Subsampling::Stacked(1) => {
                let lengths = layers.node("frames.counted", operators::identity(), &[lengths]);
                Ok((layers.transposed("frames", features, &[1, 0, 2]), lengths, self.bands))
            }
            Subsampling::Stacked(count) => {
                let lengths = fewer(layers, lengths, count)?;
                let inputs = self.bands * count;
                let stacked = stacked(layers, features, count, inputs)?;
                Ok((layers.transposed("frames", stacked, &[1, 0, 2]), lengths, inputs))
            }
            Subsampling::Convolved { kernel, stride, channels } => {
                let lengths = fewer(layers, lengths, stride)?;
                let x = layers.transposed("bands", features, &[0, 2, 1]);
                let initial = Initial::of_inputs(self.bands * kernel);
                let weight = layers.parameter("subsample.weight", &[channels, self.bands, kernel], initial)?;
                let bias = layers.parameter("subsample.bias", &[channels], initial)?;
                let [pad, stride] = [(kernel - 1) / 2, stride].map(integer);
                let window = SlidingWindow { pads: vec![pad; 2], strides: vec![stride], ..SlidingWindow::default() };
                let x = layers.node("subsample", operators::conv(window, 1), &[x, weight, bias]);
                let x = layers.function("subsampled", "Relu", &[x])?;
                Ok((layers.transposed("frames", x, &[2, 0, 1]), lengths, channels))
            }
        }
    }
}

fn integer(extent: usize) -> i64 {
    i64::try_from(extent).unwrap_or(i64::MAX)
}

/// Lengths of which so many become one; what is left at the end is one more.
fn fewer(layers: &mut Layers, lengths: ValueId, count: usize) -> Result<ValueId> {
    let mut number = |name: &str, number: i64| layers.builder.constant(name, Tensor::scalar(number));
    let (rest, count) = (number("frames.rest", integer(count) - 1), number("frames.count", integer(count)));
    let lengths = layers.function("frames.all", "Add", &[lengths, rest])?;
    layers.function("frames.counted", "Div", &[lengths, count])
}

/// So many neighbours side by side, behind which zeros stand where some are missing.
fn stacked(layers: &mut Layers, features: ValueId, count: usize, inputs: usize) -> Result<ValueId> {
    let time = layers.node("frames.time", operators::shape(1, Some(2)), &[features]);
    let count = layers.integers("frames.stacked", &[integer(count)]);
    let beyond = layers.function("frames.negative", "Neg", &[time])?;
    // The remainder has the sign of the divisor.
    let missing = layers.function("frames.missing", "Mod", &[beyond, count])?;
    let [before, after] =
        [("frames.before", &[0i64, 0, 0, 0][..]), ("frames.after", &[0])].map(|(name, zeros)| layers.integers(name, zeros));
    let pads = layers.node("frames.pads", operators::concat(0), &[before, missing, after]);
    let padded = layers.node("frames.padded", operators::pad(PadMode::Constant), &[features, pads]);
    Ok(layers.reshaped("frames.joined", padded, &[0, -1, integer(inputs)]))
}
