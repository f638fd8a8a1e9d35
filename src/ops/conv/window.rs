//! The sliding window that convolutions and pooling share: its attributes, and what they come to along each axis.

use crate::error::{Error, Result};

/// How padding is chosen (the attribute `auto_pad`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AutoPad {
    /// By the attribute `pads`.
    #[default]
    NotSet,
    /// As many outputs as inputs over the stride; the odd element of padding goes to the end.
    SameUpper,
    /// Padding as for `SameUpper`, with the odd element at the start.
    SameLower,
    /// No padding.
    Valid,
}

crate::attributes!(
    enum AutoPad {
        NotSet,
        SameUpper,
        SameLower,
        Valid,
    }
);

impl AutoPad {
    /// The variant with an ONNX name.
    ///
    /// # Errors
    /// [`InvalidModel`](crate::ErrorKind::InvalidModel) for any other name.
    pub fn from_name(name: &str) -> Result<Self> {
        Ok(match name {
            "NOTSET" | "" => AutoPad::NotSet,
            "SAME_UPPER" => AutoPad::SameUpper,
            "SAME_LOWER" => AutoPad::SameLower,
            "VALID" => AutoPad::Valid,
            _ => {
                return Err(Error::invalid_model(format!(
                    "auto_pad is `{name}`: expected NOTSET, SAME_UPPER, SAME_LOWER or VALID"
                )));
            }
        })
    }
}

/// The attributes of a sliding window; an empty list stands for the default along every axis.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SlidingWindow {
    /// Extents of the kernel; convolutions take those of their weights when empty.
    pub kernel_shape: Vec<i64>,
    /// Steps of the window, 1 by default.
    pub strides: Vec<i64>,
    /// Steps within the window, 1 by default.
    pub dilations: Vec<i64>,
    /// Padding at all starts, then at all ends, 0 by default.
    pub pads: Vec<i64>,
    /// Where padding comes from.
    pub auto_pad: AutoPad,
}

crate::attributes!(struct SlidingWindow { kernel_shape, strides, dilations, pads, auto_pad });

/// The window along one axis: output `o` and tap `k` meet at input `o * stride + k * dilation - begin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WindowAxis {
    pub(crate) input: usize,
    pub(crate) output: usize,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) dilation: usize,
    /// Padding at the start and at the end; negative where it crops.
    pub(crate) begin: i64,
    pub(crate) end: i64,
}

crate::attributes!(struct WindowAxis { input, output, kernel, stride, dilation, begin, end });

impl WindowAxis {
    /// An axis of extent 1, which stands for one that is not there.
    pub(crate) const ABSENT: WindowAxis = WindowAxis { input: 1, output: 1, kernel: 1, stride: 1, dilation: 1, begin: 0, end: 0 };

    /// Outputs whose tap `k` lies inside the input, as a range.
    fn inside(&self, k: usize) -> std::ops::Range<usize> {
        let (stride, shift) = (self.stride as i64, (k * self.dilation) as i64 - self.begin);
        let first = (-shift).max(0).div_euclid(stride) + i64::from((-shift).max(0) % stride != 0);
        let last = (self.input as i64 - shift).max(0);
        let end = last.div_euclid(stride) + i64::from(last % stride != 0);
        let end = end.clamp(0, self.output as i64) as usize;
        (first as usize).min(end)..end
    }
}

/// One entry of an attribute list, `default` when the list is empty, within `1..=i32::MAX`.
fn positive(name: &str, list: &[i64], rank: usize, axis: usize) -> Result<usize> {
    if list.is_empty() {
        return Ok(1);
    }
    match list.get(axis) {
        Some(&n) if list.len() == rank && (1..=i64::from(i32::MAX)).contains(&n) => Ok(n as usize),
        _ => Err(Error::invalid_model(format!("{name} is {list:?}: expected {rank} numbers of at least 1"))),
    }
}

impl SlidingWindow {
    /// Stride, dilation and extent of the kernel along each axis; `weights` are the spatial extents of the weights.
    fn parts(&self, rank: usize, weights: Option<&[usize]>) -> Result<Vec<(usize, usize, usize)>> {
        if let Some(weights) = weights
            && !self.kernel_shape.is_empty()
            && !self.kernel_shape.iter().map(|n| *n as usize).eq(weights.iter().copied())
        {
            return Err(Error::invalid_model(format!(
                "kernel_shape is {:?}: expected {weights:?} as in the weights",
                self.kernel_shape
            )));
        }
        if !self.pads.is_empty() && self.pads.len() != 2 * rank {
            return Err(Error::invalid_model(format!("pads is {:?}: expected {} numbers", self.pads, 2 * rank)));
        }
        if let Some(pad) = self.pads.iter().find(|p| p.unsigned_abs() > i32::MAX as u64) {
            return Err(Error::invalid_model(format!("pads holds {pad}: expected numbers of 32 bits")));
        }
        (0..rank)
            .map(|axis| {
                let kernel = match weights {
                    Some(weights) => weights[axis],
                    None if self.kernel_shape.is_empty() => {
                        return Err(Error::invalid_model("the attribute kernel_shape is missing"));
                    }
                    None => positive("kernel_shape", &self.kernel_shape, rank, axis)?,
                };
                if kernel == 0 {
                    return Err(Error::invalid_model("a kernel with an extent of 0: expected at least 1"));
                }
                let stride = positive("strides", &self.strides, rank, axis)?;
                let dilation = positive("dilations", &self.dilations, rank, axis)?;
                if (kernel as u64 - 1).saturating_mul(dilation as u64) > i32::MAX as u64 {
                    return Err(Error::invalid_model(format!("a kernel of {kernel} elements {dilation} apart is too large")));
                }
                Ok((kernel, stride, dilation))
            })
            .collect()
    }

    /// The window along axes that are resolved, padded so that it makes their outputs and leaves nothing over. Its transpose then makes
    /// their inputs.
    pub(crate) fn exact(axes: &[WindowAxis]) -> Self {
        let each = |pick: fn(&WindowAxis) -> i64| axes.iter().map(pick).collect::<Vec<_>>();
        let end = |a: &WindowAxis| {
            (a.output as i64 - 1) * a.stride as i64 + (a.kernel as i64 - 1) * a.dilation as i64 + 1 - a.input as i64 - a.begin
        };
        SlidingWindow {
            kernel_shape: each(|a| a.kernel as i64),
            strides: each(|a| a.stride as i64),
            dilations: each(|a| a.dilation as i64),
            pads: [each(|a| a.begin), each(end)].concat(),
            auto_pad: AutoPad::NotSet,
        }
    }

    /// Padding at start and end of an axis as the attribute gives it.
    fn given(&self, rank: usize, axis: usize) -> (i64, i64) {
        if self.pads.is_empty() { (0, 0) } else { (self.pads[axis], self.pads[rank + axis]) }
    }

    /// The window over an input with the given spatial extents. With `ceil_mode` a last window that is only partly
    /// inside counts, unless it starts in the padding at the end.
    ///
    /// # Errors
    /// [`InvalidModel`](crate::ErrorKind::InvalidModel) when attributes contradict the shapes.
    pub(crate) fn resolve(&self, input: &[usize], weights: Option<&[usize]>, ceil_mode: bool) -> Result<Vec<WindowAxis>> {
        let rank = input.len();
        let parts = self.parts(rank, weights)?;
        let resolve = |(axis, (&input, (kernel, stride, dilation))): (usize, (&usize, (usize, usize, usize)))| {
            let reach = (kernel - 1) * dilation + 1;
            let (begin, end) = match self.auto_pad {
                AutoPad::NotSet => self.given(rank, axis),
                AutoPad::Valid => (0, 0),
                AutoPad::SameUpper | AutoPad::SameLower => {
                    let total = ((input.div_ceil(stride).max(1) - 1) * stride + reach).saturating_sub(input) as i64;
                    let less = total / 2;
                    if self.auto_pad == AutoPad::SameUpper { (less, total - less) } else { (total - less, less) }
                }
            };
            let room = input as i64 + begin + end - reach as i64;
            if room < 0 {
                return Err(Error::invalid_model(format!(
                    "the window covers {reach} elements of axis {axis}: expected at most {}, its extent with padding",
                    input as i64 + begin + end
                )));
            }
            let (room, step) = (room as usize, stride);
            let mut output = if ceil_mode { room.div_ceil(step) } else { room / step } + 1;
            if ceil_mode && ((output - 1) * step) as i64 >= input as i64 + begin {
                output -= 1;
            }
            Ok(WindowAxis { input, output, kernel, stride, dilation, begin, end })
        };
        input.iter().zip(parts).enumerate().map(resolve).collect()
    }

    /// The window of a transposed convolution: `input` of a [`WindowAxis`] is the extent that the convolution makes.
    ///
    /// # Errors
    /// [`InvalidModel`](crate::ErrorKind::InvalidModel) when attributes contradict the shapes.
    pub(crate) fn resolve_transposed(
        &self,
        input: &[usize],
        weights: &[usize],
        output_padding: &[i64],
        output_shape: &[i64],
    ) -> Result<Vec<WindowAxis>> {
        let rank = input.len();
        let parts = self.parts(rank, Some(weights))?;
        let list = |name: &str, list: &[i64]| {
            if list.is_empty() || list.len() == rank && list.iter().all(|n| (0..=i64::from(i32::MAX)).contains(n)) {
                return Ok(());
            }
            Err(Error::invalid_model(format!("{name} is {list:?}: expected {rank} numbers of at least 0")))
        };
        list("output_padding", output_padding)?;
        list("output_shape", output_shape)?;
        let same = matches!(self.auto_pad, AutoPad::SameUpper | AutoPad::SameLower);
        let resolve = |(axis, (&output, (kernel, stride, dilation))): (usize, (&usize, (usize, usize, usize)))| {
            let reach = ((kernel - 1) * dilation + 1) as i64;
            let extra = output_padding.get(axis).copied().unwrap_or(0);
            let full = stride as i64 * (output as i64 - 1) + reach + extra;
            let wanted = output_shape.get(axis).copied().or(same.then_some((output * stride) as i64));
            let (begin, extent) = match wanted {
                Some(extent) => {
                    let total = (full - extent).max(0);
                    (if self.auto_pad == AutoPad::SameUpper { total / 2 } else { total - total / 2 }, extent)
                }
                None if self.auto_pad == AutoPad::Valid => (0, full),
                None => {
                    let (begin, end) = self.given(rank, axis);
                    (begin, full - begin - end)
                }
            };
            let input = usize::try_from(extent).map_err(|_| {
                Error::invalid_model(format!("padding leaves {extent} elements of axis {axis}: expected at least 0"))
            })?;
            Ok(WindowAxis { input, output, kernel, stride, dilation, begin, end: 0 })
        };
        input.iter().zip(parts).enumerate().map(resolve).collect()
    }
}

/// Calls `run(output, input, count)` for each run of outputs along the last axis that tap `tap` of the kernel joins with
/// inputs: `count` neighbours from `output`, and as many inputs, the last axis' stride apart, from `input`.
pub(crate) fn for_each_run(axes: &[WindowAxis], tap: &[usize], mut run: impl FnMut(usize, usize, usize)) {
    let Some(last) = axes.len().checked_sub(1) else {
        return run(0, 0, 1);
    };
    let ranges: Vec<_> = axes.iter().zip(tap).map(|(axis, &k)| axis.inside(k)).collect();
    if ranges.iter().any(|r| r.is_empty()) {
        return;
    }
    let place = |axis: &WindowAxis, k: usize, o: usize| (o * axis.stride + k * axis.dilation) as i64 - axis.begin;
    let mut at: Vec<usize> = ranges.iter().map(|r| r.start).collect();
    loop {
        let (mut output, mut input) = (0, 0);
        for (i, axis) in axes.iter().enumerate() {
            output = output * axis.output + at[i];
            input = input * axis.input + place(axis, tap[i], at[i]) as usize;
        }
        run(output, input, ranges[last].len());
        let Some(step) = (0..last).rev().find(|&i| at[i] + 1 < ranges[i].end) else { return };
        at[step] += 1;
        for i in step + 1..last {
            at[i] = ranges[i].start;
        }
    }
}

/// The index of each tap of a kernel, row-major.
pub(crate) fn taps(axes: &[WindowAxis]) -> Vec<Vec<usize>> {
    axes.iter().fold(vec![vec![]], |all, axis| {
        all.iter().flat_map(|tap| (0..axis.kernel).map(|k| tap.iter().copied().chain([k]).collect())).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_upper_keeps_the_extent() {
        let window =
            SlidingWindow { kernel_shape: vec![3], auto_pad: AutoPad::SameUpper, strides: vec![2], ..SlidingWindow::default() };
        let axis = window.resolve(&[5], None, false).expect("it fits")[0];
        assert_eq!((axis.output, axis.begin, axis.end), (3, 1, 1));
    }

    #[test]
    fn runs_stay_inside() {
        let axis = WindowAxis { input: 5, output: 3, kernel: 3, stride: 2, dilation: 1, begin: 1, end: 1 };
        let mut runs = vec![];
        (0..3).for_each(|k| for_each_run(&[axis], &[k], |o, i, n| runs.push((o, i, n))));
        assert_eq!(runs, [(1, 1, 2), (0, 0, 3), (0, 1, 2)]);
    }
}
