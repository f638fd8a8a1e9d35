//! Convolutions and their transposes over one to three axes.

use super::{Draw, Net, property};
use crate::cases::F32;
use gristmill::internals::graph::ValueId;
use gristmill::internals::ops::conv::{AutoPad, SlidingWindow, conv, conv_transpose};

/// A window and the extents of an input that it fits into.
pub struct Windowed {
    pub window: SlidingWindow,
    pub kernel: Vec<usize>,
    pub input: Vec<usize>,
}

/// `reach`: inputs are at least as long as the window, as a convolution needs.
pub fn windowed(draw: &mut Draw, spatial: usize, reach: bool) -> Windowed {
    let list = |draw: &mut Draw, from: &[i64]| (0..spatial).map(|_| draw.pick(from)).collect::<Vec<i64>>();
    let kernel = list(draw, &[3, 1, 2, 5, 4]);
    let strides = if draw.flag() { list(draw, &[2, 1, 3]) } else { vec![] };
    let dilations = if draw.rarely(3) { list(draw, &[2, 1, 3]) } else { vec![] };
    let auto_pad =
        if draw.rarely(3) { draw.pick(&[AutoPad::SameUpper, AutoPad::SameLower, AutoPad::Valid]) } else { AutoPad::NotSet };
    let limit = kernel.iter().min().copied().unwrap_or(1);
    let pads: Vec<i64> = (0..2 * spatial).map(|_| draw.pick(&[1, 0, 2]).min(limit - 1)).collect();
    let pads = if auto_pad == AutoPad::NotSet && draw.flag() { pads } else { vec![] };
    let most = [24, 11, 5][spatial - 1];
    let input = (0..spatial)
        .map(|k| {
            let needed = if reach { (kernel[k] - 1) * dilations.get(k).copied().unwrap_or(1) + 1 } else { 1 } as usize;
            needed + draw.within(0, most)
        })
        .collect();
    let extents = kernel.iter().map(|k| *k as usize).collect();
    Windowed { window: SlidingWindow { kernel_shape: kernel, strides, dilations, pads, auto_pad }, kernel: extents, input }
}

fn operand(draw: &mut Draw, net: &mut Net, shape: &[usize]) -> ValueId {
    if draw.rarely(4) { net.transposed(draw, shape) } else { net.floats(shape) }
}

#[test]
fn convolutions() {
    property(24, F32, |draw, net| {
        let spatial = draw.pick(&[2, 1, 2, 3]);
        let Windowed { window, kernel, input } = windowed(draw, spatial, true);
        let (group, each, filters) = match draw.within(0, 4) {
            0 | 1 => (1, draw.pick(&[4, 1, 3, 5, 16]), draw.pick(&[4, 1, 3, 5, 8, 17, 32])),
            2 => (draw.pick(&[2, 3]), draw.pick(&[2, 1, 4]), draw.pick(&[2, 1, 3, 4])),
            // Depthwise.
            _ => (draw.pick(&[4, 2, 3, 8]), 1, draw.pick(&[1, 1, 2])),
        };
        let batch = draw.pick(&[1, 2, 3, 0]);
        let x = operand(draw, net, &[&[batch, group * each], &input[..]].concat());
        let w = net.weights(!draw.rarely(4), &[&[group * filters, each], &kernel[..]].concat());
        let mut inputs = vec![x, w];
        if draw.flag() {
            inputs.push(net.weights(!draw.rarely(4), &[group * filters]));
        }
        let y = net.apply(conv(window, group as i64), &inputs);
        vec![net.epilogue(draw, y, &[&[group * filters], &vec![1; spatial][..]].concat())]
    });
}

#[test]
fn transposed_convolutions() {
    property(16, F32, |draw, net| {
        let spatial = draw.pick(&[2, 1, 3]);
        let Windowed { window, kernel, input } = windowed(draw, spatial, false);
        let (group, each, filters) = (draw.pick(&[1, 1, 2, 3]), draw.pick(&[3, 1, 4]), draw.pick(&[2, 1, 4, 5]));
        let extra: Vec<i64> = (0..spatial).map(|k| i64::from(window.strides.get(k).is_some_and(|s| *s > 1))).collect();
        let extra = if draw.rarely(3) { extra } else { vec![] };
        let batch = draw.pick(&[1, 2]);
        let x = operand(draw, net, &[&[batch, group * each], &input[..]].concat());
        let w = net.weights(!draw.rarely(4), &[&[group * each, filters], &kernel[..]].concat());
        let mut inputs = vec![x, w];
        if draw.flag() {
            inputs.push(net.weights(true, &[group * filters]));
        }
        let y = net.apply(conv_transpose(window, group as i64, extra, vec![]), &inputs);
        vec![net.epilogue(draw, y, &[&[group * filters], &vec![1; spatial][..]].concat())]
    });
}
