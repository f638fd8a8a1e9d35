//! Self-attention whose keys are convolved over the positions that they stand at.

use super::super::compose::Compose;
use super::super::conv::{SlidingWindow, conv};
use super::{Attention, attention};
use crate::error::{Error, Result};
use crate::graph::{Fact, Node, Op, ValueId, Writer, required};
use crate::tensor::{Shape, Tensor, TensorType, View};
use std::sync::Arc;

const NAME: &str = "ConvolutionalAttention";

/// softmax(Q (K^T * W) scale) V, where `*` slides a window with a weight per channel over the positions of the keys, which is not turned round
/// and sees zeros past the edges.
///
/// Inputs: queries `[batch, n, d]`, keys `[batch, n, d]`, values `[batch, n, dv]` and weights `[d, 1, window...]`, whose window is odd along each
/// of the axes of the grid.
#[derive(Clone, Debug)]
pub struct ConvolutionalAttention {
    /// Extents of the one or two axes along which the `n` positions stand, row by row: `[n]` for a sequence.
    pub grid: Vec<usize>,
    /// How many heads channels are split into, one after another.
    pub heads: usize,
    /// What the product of query and key is multiplied with; one over the root of a head's channels by default.
    pub scale: Option<f32>,
}

impl ConvolutionalAttention {
    /// Attention with one head over positions on a grid.
    pub fn new(grid: &[usize]) -> Self {
        ConvolutionalAttention { grid: grid.to_vec(), heads: 1, scale: None }
    }
}

/// Self-attention whose keys are convolved.
pub fn convolutional_attention(attributes: ConvolutionalAttention) -> Arc<dyn Op> {
    Arc::new(attributes)
}

/// Extents of one convolutional attention, once the types of its inputs are known.
#[derive(Clone, Copy, Debug)]
struct Extents {
    batch: usize,
    positions: usize,
    channels: usize,
    value_channels: usize,
}

impl ConvolutionalAttention {
    fn extents(&self, shapes: [&Shape; 4]) -> Result<Extents> {
        let [query, key, value, weights] = shapes;
        let wrong = |what: String| Err(Error::invalid_model(format!("{NAME} takes {what}")));
        let (&[batch, positions, channels], &[_, _, value_channels]) = (query.dims(), value.dims()) else {
            return wrong(format!("queries and values of rank 3, found {query} and {value}"));
        };
        if key != query || value[..2] != query[..2] {
            return wrong(format!(
                "queries and keys [batch,positions,channels] and values [batch,positions,value channels], found {query}, {key} and {value}"
            ));
        }
        let grid = &self.grid;
        if !matches!(grid.len(), 1 | 2) || grid.iter().try_fold(1usize, |n, d| n.checked_mul(*d)) != Some(positions) {
            return wrong(format!("a grid of one or two axes for {positions} positions, found the grid {grid:?}"));
        }
        if weights.rank() != 2 + grid.len() || weights[0] != channels || weights[1] != 1 {
            return wrong(format!(
                "weights [{channels},1,window...] with a window along each axis of the grid {grid:?}, found {weights}"
            ));
        }
        if weights[2..].iter().any(|extent| extent % 2 == 0) {
            return wrong(format!("windows of odd extents, found weights {weights}"));
        }
        let heads = self.heads;
        if heads == 0 || channels % heads != 0 || value_channels % heads != 0 {
            return wrong(format!(
                "heads that divide {channels} channels and {value_channels} value channels, found {heads} heads"
            ));
        }
        Ok(Extents { batch, positions, channels, value_channels })
    }

    fn scale(&self, extents: Extents) -> f32 {
        self.scale.unwrap_or_else(|| 1.0 / ((extents.channels / self.heads).max(1) as f32).sqrt())
    }

    fn extents_of(&self, inputs: &[Option<&Fact>]) -> Result<Extents> {
        let shape = |k| required(NAME, inputs, k).map(Fact::shape);
        self.extents([shape(0)?, shape(1)?, shape(2)?, shape(3)?])
    }

    /// Channels of `[batch, positions, channels]` as `[batch, heads, positions, size]`.
    fn split(&self, extents: Extents, channels: usize) -> View {
        let Extents { batch, positions, .. } = extents;
        View::contiguous(&[batch, positions, self.heads, channels / self.heads].into()).transpose(&[0, 2, 1, 3])
    }
}

impl Op for ConvolutionalAttention {
    fn name(&self) -> &'static str {
        NAME
    }

    crate::attributes!(grid, heads, scale);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let dtype = required(NAME, inputs, 0)?.dtype();
        for k in 0..4 {
            let found = required(NAME, inputs, k)?.dtype();
            if found != dtype || !dtype.is_float() {
                return Err(Error::invalid_model(format!("{NAME} takes inputs of one float dtype, found {found}")));
            }
        }
        let Extents { batch, positions, value_channels, .. } = self.extents_of(inputs)?;
        Ok(vec![Fact::new(dtype, [batch, positions, value_channels])])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let tensor = |k| required(NAME, inputs, k);
        let (query, key, value, weights) = (tensor(0)?, tensor(1)?, tensor(2)?, tensor(3)?);
        let extents = self.extents([query.shape(), key.shape(), value.shape(), weights.shape()])?;
        let Extents { batch, positions, channels, value_channels } = extents;
        let (q, v) = (query.to_f64(), value.to_f64());
        let k = self.convolved(extents, &key.to_f64(), &weights.to_f64(), &weights.shape()[2..]);
        let (size, value_size) = (channels / self.heads, value_channels / self.heads);
        let mut out = vec![0f64; batch * positions * value_channels];
        for row in 0..batch * positions {
            let first = row / positions * positions;
            for head in 0..self.heads {
                let of = |values: &[f64], row: usize| values[row * channels + head * size..][..size].to_vec();
                let own = of(&q, row);
                let product = |j: usize| own.iter().zip(of(&k, first + j)).map(|(a, b)| a * b).sum::<f64>();
                let scores: Vec<f64> = (0..positions).map(|j| product(j) * f64::from(self.scale(extents))).collect();
                let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let parts: Vec<f64> = scores.iter().map(|score| (score - most).exp()).collect();
                let total: f64 = parts.iter().sum();
                let target = &mut out[row * value_channels + head * value_size..][..value_size];
                for (j, part) in parts.iter().enumerate() {
                    let values = &v[(first + j) * value_channels + head * value_size..][..value_size];
                    target.iter_mut().zip(values).for_each(|(sum, value)| *sum += part / total * value);
                }
            }
        }
        Ok(vec![Tensor::from_f64(TensorType::new(query.dtype(), [batch, positions, value_channels]), &out)?])
    }

    fn expand(&self, node: &Node, inputs: &[Option<&Fact>], writer: &mut Writer) -> Result<Option<Vec<ValueId>>> {
        let extents = self.extents_of(inputs)?;
        let Extents { batch, positions, channels, value_channels } = extents;
        let window = &required(NAME, inputs, 3)?.shape()[2..];
        let pads: Vec<i64> = window.iter().map(|extent| (extent / 2) as i64).collect();
        let sliding = SlidingWindow { pads: [pads.clone(), pads].concat(), ..SlidingWindow::default() };
        let by_channel = writer.transposed(node.needed(1)?, &[0, 2, 1])?;
        let image = writer.reshape(by_channel, &[[batch, channels].as_slice(), &self.grid].concat())?;
        let convolved = writer.apply(conv(sliding, channels as i64), &[image, node.needed(3)?])?;
        let keys = View::contiguous(&[batch, self.heads, channels / self.heads, positions].into()).transpose(&[0, 1, 3, 2]);
        let op = Attention {
            query: Some(self.split(extents, channels)),
            key: Some(keys),
            value: Some(self.split(extents, value_channels)),
            interleaved: true,
            ..Attention::new(self.scale(extents))
        };
        let result = writer.apply(attention(op), &[node.needed(0)?, convolved, node.needed(2)?])?;
        Ok(Some(vec![writer.reshape(result, &[batch, positions, value_channels])?]))
    }
}

impl ConvolutionalAttention {
    /// Keys `[batch, positions, channels]` after the window has slid over them.
    fn convolved(&self, extents: Extents, keys: &[f64], weights: &[f64], window: &[usize]) -> Vec<f64> {
        let Extents { batch, positions, channels, .. } = extents;
        // A sequence is one row.
        let two = |extents: &[usize]| if let [height, width] = *extents { (height, width) } else { (1, extents[0]) };
        let ((height, width), (window_height, window_width)) = (two(&self.grid), two(window));
        let mut out = vec![0f64; keys.len()];
        for b in 0..batch {
            for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
                for (i, j) in (0..window_height).flat_map(|i| (0..window_width).map(move |j| (i, j))) {
                    let row = (y + i).checked_sub(window_height / 2).filter(|row| *row < height);
                    let column = (x + j).checked_sub(window_width / 2).filter(|column| *column < width);
                    let (Some(row), Some(column)) = (row, column) else { continue };
                    let from = (b * positions + row * width + column) * channels;
                    let to = (b * positions + y * width + x) * channels;
                    for channel in 0..channels {
                        out[to + channel] += keys[from + channel] * weights[(channel * window_height + i) * window_width + j];
                    }
                }
            }
        }
        out
    }
}
