//! An axis of images as packed lines hold it, and where the taps of a window meet it.

use super::super::WindowAxis;

/// A tap of the kernel, and where it meets the first output of its phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tap {
    pub(super) tap: usize,
    pub(super) place: usize,
}

/// An axis of a convolution, plain or transposed. Output `o` of phase `p`, which is element `o * phases + p` of what is made,
/// sees packed places `o * apart + place`; packed place `i` is element `first + i * step` of the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PackedAxis {
    /// Packed places: as many as whole groups of outputs see.
    pub(super) extent: usize,
    pub(super) first: i64,
    pub(super) step: usize,
    /// Elements of the image.
    pub(super) image: usize,
    /// Elements that are made.
    pub(super) made: usize,
    /// The most outputs of a phase.
    pub(super) outputs: usize,
    pub(super) apart: usize,
    /// The taps of each phase.
    pub(super) phases: Vec<Vec<Tap>>,
    kernel: usize,
}

impl PackedAxis {
    /// An axis of a convolution, outputs in groups of so many. Elements that no tap sees are not packed.
    pub(super) fn of_convolution(axis: &WindowAxis, group: usize) -> Self {
        let step = if axis.kernel == 1 { axis.stride } else { divisor(axis.stride, axis.dilation) };
        let (apart, dilation) = (axis.stride / step, axis.dilation / step);
        let taps: Vec<Tap> = (0..axis.kernel).map(|tap| Tap { tap, place: tap * dilation }).collect();
        PackedAxis {
            extent: (axis.output.next_multiple_of(group).max(1) - 1) * apart + (axis.kernel - 1) * dilation + 1,
            first: -axis.begin,
            step,
            image: axis.input,
            made: axis.output,
            outputs: axis.output,
            apart,
            phases: vec![taps],
            kernel: axis.kernel,
        }
    }

    /// An axis of the transpose of a convolution, which makes what is the input of that from its outputs: element `e` and tap `k`
    /// meet output `(e + begin - k * dilation) / stride` where that leaves no rest.
    pub(super) fn of_transposed(axis: &WindowAxis, group: usize) -> Self {
        let stride = axis.stride as i64;
        let spans = |phase: usize| {
            let taps = (0..axis.kernel).map(move |tap| (tap, phase as i64 + axis.begin - (tap * axis.dilation) as i64));
            taps.filter(move |(_, span)| span.rem_euclid(stride) == 0).map(move |(tap, span)| (tap, span.div_euclid(stride)))
        };
        let first = (0..axis.stride).flat_map(spans).map(|(_, place)| place).min().unwrap_or(0);
        let taps = |phase| spans(phase).map(|(tap, at)| Tap { tap, place: (at - first) as usize }).collect::<Vec<_>>();
        let phases: Vec<Vec<Tap>> = (0..axis.stride).map(taps).collect();
        let outputs = axis.input.div_ceil(axis.stride);
        let last = phases.iter().flatten().map(|tap| tap.place).max().unwrap_or(0);
        PackedAxis {
            extent: outputs.next_multiple_of(group).max(1) + last,
            first,
            step: 1,
            image: axis.output,
            made: axis.input,
            outputs,
            apart: 1,
            phases,
            kernel: axis.kernel,
        }
    }

    /// Taps of the kernel.
    pub(super) fn taps(&self) -> usize {
        self.kernel
    }

    /// Taps of the phase that has most.
    pub(super) fn most_taps(&self) -> usize {
        self.phases.iter().map(Vec::len).max().unwrap_or(0)
    }
}

/// The greatest common divisor.
fn divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(axis: &PackedAxis) -> Vec<Vec<(usize, usize)>> {
        axis.phases.iter().map(|taps| taps.iter().map(|tap| (tap.tap, tap.place)).collect()).collect()
    }

    #[test]
    fn what_no_tap_sees_is_not_packed() {
        let axis = WindowAxis { input: 9, output: 5, kernel: 1, stride: 2, dilation: 1, begin: 0, end: 0 };
        let packed = PackedAxis::of_convolution(&axis, 4);
        assert_eq!((packed.extent, packed.step, packed.apart), (8, 2, 1));
        let axis = WindowAxis { input: 20, output: 8, kernel: 3, stride: 2, dilation: 2, begin: 2, end: 0 };
        let packed = PackedAxis::of_convolution(&axis, 4);
        assert_eq!((packed.extent, packed.first, packed.step, packed.apart), (10, -2, 2, 1));
        assert_eq!(places(&packed), [[(0, 0), (1, 1), (2, 2)]]);
    }

    #[test]
    fn phases_of_a_transposed_convolution_share_its_taps() {
        let axis = WindowAxis { input: 8, output: 4, kernel: 4, stride: 2, dilation: 1, begin: 1, end: 0 };
        let packed = PackedAxis::of_transposed(&axis, 4);
        assert_eq!((packed.extent, packed.first, packed.outputs), (6, -1, 4));
        assert_eq!(places(&packed), [[(1, 1), (3, 0)], [(0, 2), (2, 1)]]);
        let axis = WindowAxis { input: 9, output: 3, kernel: 2, stride: 3, dilation: 1, begin: 0, end: 0 };
        assert_eq!(places(&PackedAxis::of_transposed(&axis, 1)), [vec![(0, 0)], vec![(1, 0)], vec![]]);
    }
}
