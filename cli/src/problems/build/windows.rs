//! Windows that slide over images and sequences.

use super::{Problem, Shape, product};
use gristmill::internals::ops;
use gristmill::internals::ops::conv::SlidingWindow;
use gristmill::{Error, Result};

/// Data, weights and window of a convolution, and the extents after it in one direction.
struct Convolution {
    batch: usize,
    group: usize,
    channels: usize,
    filters: usize,
    image: [usize; 2],
    kernel: [usize; 2],
    stride: usize,
    pad: usize,
}

impl Convolution {
    fn new(shape: &Shape) -> Result<Self> {
        let ([channels, height, width], [filters, y, x]) = (shape.of()?, shape.filter()?);
        let (stride, group) = (shape.option("stride", 1), shape.option("group", 1));
        if stride == 0 || group == 0 || channels % group != 0 {
            return Err(Error::invalid_argument(format!(
                "`{}`: expected a stride of at least 1 and groups that divide the channels",
                shape.text
            )));
        }
        Ok(Convolution {
            batch: shape.option("batch", 1),
            group,
            channels,
            filters,
            image: [height, width],
            kernel: [y, x],
            stride,
            pad: shape.option("pad", 0),
        })
    }

    fn window(&self) -> SlidingWindow {
        SlidingWindow { strides: vec![self.stride as i64; 2], pads: vec![self.pad as i64; 4], ..SlidingWindow::default() }
    }
}

pub(crate) fn conv(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    let c = Convolution::new(shape)?;
    let out = |k: usize| (c.image[k] + 2 * c.pad).checked_sub(c.kernel[k]).map(|n| n / c.stride + 1).ok_or_else(|| shape.wrong());
    let (height, width) = (out(0)?, out(1)?);
    let x = problem.input(&[c.batch, c.channels, c.image[0], c.image[1]]);
    let w = problem.weight("weights", &[c.filters, c.channels / c.group, c.kernel[0], c.kernel[1]]);
    problem.finish(ops::conv::conv(c.window(), c.group as i64), &[x, w], c.batch * c.filters * height * width);
    Ok(2 * product(&[c.batch, c.filters, height, width, c.channels / c.group, c.kernel[0], c.kernel[1]]))
}

pub(crate) fn conv_transpose(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    let c = Convolution::new(shape)?;
    let out = |k: usize| ((c.image[k] - 1) * c.stride + c.kernel[k]).checked_sub(2 * c.pad).ok_or_else(|| shape.wrong());
    let (height, width) = (out(0)?, out(1)?);
    let x = problem.input(&[c.batch, c.channels, c.image[0], c.image[1]]);
    let w = problem.weight("weights", &[c.channels, c.filters / c.group, c.kernel[0], c.kernel[1]]);
    problem.finish(
        ops::conv::conv_transpose(c.window(), c.group as i64, vec![], vec![]),
        &[x, w],
        c.batch * c.filters * height * width,
    );
    Ok(2 * product(&[c.batch, c.channels, c.image[0], c.image[1], c.filters / c.group, c.kernel[0], c.kernel[1]]))
}

/// The extent after a window along one axis.
fn slid(shape: &Shape, extent: usize, kernel: usize, stride: usize, pad: usize) -> Result<usize> {
    let rest = (extent + 2 * pad).checked_sub(kernel).filter(|_| stride > 0);
    rest.map(|rest| rest / stride + 1).ok_or_else(|| shape.wrong())
}

pub(crate) fn conv_1d(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    let ([channels, length], [filters, taps]) = (shape.of()?, shape.filter()?);
    let (stride, pad, group) = (shape.option("stride", 1), shape.option("pad", 0), shape.option("group", 1));
    if group == 0 || !channels.is_multiple_of(group) {
        return Err(Error::invalid_argument(format!("`{}`: expected groups that divide the channels", shape.text)));
    }
    let made = slid(shape, length, taps, stride, pad)?;
    let x = problem.input(&[1, channels, length]);
    let w = problem.weight("weights", &[filters, channels / group, taps]);
    let window = SlidingWindow { strides: vec![stride as i64], pads: vec![pad as i64; 2], ..SlidingWindow::default() };
    problem.finish(ops::conv::conv(window, group as i64), &[x, w], filters * made);
    Ok(2 * product(&[filters, made, channels / group, taps]))
}

pub(crate) fn max_pool(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    pool(shape, problem, |window| ops::pool::max_pool(window, false, false))
}

pub(crate) fn average_pool(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    pool(shape, problem, |window| ops::pool::average_pool(window, false, false))
}

fn pool(
    shape: &Shape,
    problem: &mut Problem,
    op: impl FnOnce(SlidingWindow) -> std::sync::Arc<dyn gristmill::internals::graph::Op>,
) -> Result<u64> {
    let ([channels, height, width], [y, x]) = (shape.of()?, shape.filter()?);
    let (stride, pad) = (shape.option("stride", 1), shape.option("pad", 0));
    let made = channels * slid(shape, height, y, stride, pad)? * slid(shape, width, x, stride, pad)?;
    let data = problem.input(&[1, channels, height, width]);
    let window = SlidingWindow {
        kernel_shape: vec![y as i64, x as i64],
        strides: vec![stride as i64; 2],
        pads: vec![pad as i64; 4],
        ..SlidingWindow::default()
    };
    problem.finish(op(window), &[data], made);
    Ok(product(&[made, y, x]))
}

pub(crate) fn global_pool(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    let [channels, height, width] = shape.of()?;
    let x = problem.input(&[1, channels, height, width]);
    let largest = shape.option("max", 0) != 0;
    problem.finish(if largest { ops::pool::global_max_pool() } else { ops::pool::global_average_pool() }, &[x], channels);
    Ok(product(&[channels, height, width]))
}

pub(crate) fn lrn(shape: &Shape, problem: &mut Problem) -> Result<u64> {
    let ([channels, height, width], size) = (shape.of()?, shape.option("size", 5));
    let x = problem.input(&[1, channels, height, width]);
    problem.finish(ops::lrn::lrn(1e-4, 0.75, 1.0, size)?, &[x], channels * height * width);
    // Squares and their sum, then scale, bias, power, quotient.
    Ok(product(&[channels, height, width, 2 * size + 4]))
}
