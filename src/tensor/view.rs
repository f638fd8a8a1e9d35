//! Strided views: how data movement is described before (and often instead of) being done.

use super::axes::joined_axes;
use super::shape::Shape;

/// A shape laid over a buffer of elements: element `i` stands at `offset + sum(i[k] * strides[k])`.
///
/// Transpose, Slice, Split, Expand, Squeeze and many a Reshape are views of their input; a kernel that reads through a
/// view saves the copy. Strides may be 0 (broadcast) or negative (reversed).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct View {
    /// The extents seen through the view.
    pub shape: Shape,
    /// Step in elements along each axis.
    pub strides: Vec<i64>,
    /// Element at index 0 of every axis.
    pub offset: i64,
}

impl View {
    /// The view of a whole row-major tensor.
    pub fn contiguous(shape: &Shape) -> Self {
        View { shape: shape.clone(), strides: shape.strides().iter().map(|s| *s as i64).collect(), offset: 0 }
    }

    /// True when the view is the buffer itself, in order, from its start.
    pub fn is_contiguous(&self) -> bool {
        self.offset == 0 && self.same_order(&View::contiguous(&self.shape))
    }

    /// True when both walk their buffers in the same order; strides of extents of 1 do not count.
    fn same_order(&self, other: &View) -> bool {
        self.shape.elements() == 0
            || self.shape.iter().zip(self.strides.iter().zip(&other.strides)).all(|(d, (a, b))| *d == 1 || a == b)
    }

    /// Axes reordered: axis `k` of the result is axis `permutation[k]` of this view.
    pub fn transpose(&self, permutation: &[usize]) -> Self {
        View {
            shape: permutation.iter().map(|&p| self.shape[p]).collect::<Vec<_>>().into(),
            strides: permutation.iter().map(|&p| self.strides[p]).collect(),
            offset: self.offset,
        }
    }

    /// `count` elements of one axis, from `start` in steps of `step`.
    pub fn slice(&self, axis: usize, start: usize, count: usize, step: i64) -> Self {
        let mut dims = self.shape.to_vec();
        dims[axis] = count;
        let mut strides = self.strides.clone();
        let offset = if count == 0 { self.offset } else { self.offset + start as i64 * strides[axis] };
        strides[axis] *= step;
        View { shape: dims.into(), strides, offset }
    }

    /// Broadcast to `shape` (numpy's rule); `None` when an extent does not fit.
    pub fn broadcast(&self, shape: &Shape) -> Option<Self> {
        let skip = shape.rank().checked_sub(self.shape.rank())?;
        let mut strides = vec![0; shape.rank()];
        for (i, (&d, &s)) in self.shape.iter().zip(&self.strides).enumerate() {
            strides[skip + i] = match d {
                _ if d == shape[skip + i] => s,
                1 => 0,
                _ => return None,
            };
        }
        Some(View { shape: shape.clone(), strides, offset: self.offset })
    }

    /// Gives the elements other extents; `None` when no strides express that, so that a copy is needed.
    pub fn reshape(&self, shape: &Shape) -> Option<Self> {
        if self.shape.elements() != shape.elements() {
            return None;
        }
        if shape.elements() == 0 {
            return Some(View { shape: shape.clone(), ..View::contiguous(shape) });
        }
        // Each run of old axes must be split exactly by new axes.
        let runs = self.runs();
        let mut strides = vec![0i64; shape.rank()];
        let (mut run, mut left, mut stride) = (runs.len(), 1usize, 0i64);
        for axis in (0..shape.rank()).rev() {
            if shape[axis] == 1 {
                continue;
            }
            if left == 1 {
                run = run.checked_sub(1)?;
                (left, stride) = runs[run];
            }
            if left % shape[axis] != 0 {
                return None;
            }
            strides[axis] = stride;
            stride *= shape[axis] as i64;
            left /= shape[axis];
        }
        Some(View { shape: shape.clone(), strides, offset: self.offset })
    }

    /// Composes two views: where this is a view of a tensor that is itself seen through `base`, the result is one view of the buffer.
    /// `None` when strides cannot express it.
    pub fn of(&self, base: &View) -> Option<Self> {
        if base.is_contiguous() {
            return Some(self.clone());
        }
        // Along each axis of `base`, a step of this view must be a whole number of steps.
        let own = base.shape.strides();
        let split = |mut n: i64| -> Option<Vec<i64>> {
            let mut digits = vec![0; own.len()];
            for (digit, (&s, &d)) in digits.iter_mut().zip(own.iter().zip(base.shape.iter())) {
                if d > 1 {
                    *digit = n / s as i64;
                    n -= *digit * s as i64;
                }
            }
            (n == 0).then_some(digits)
        };
        let start = split(self.offset)?;
        let mut reach = start.clone();
        let mut low = start.clone();
        let mut strides = Vec::with_capacity(self.strides.len());
        for (&d, &s) in self.shape.iter().zip(&self.strides) {
            if d == 1 {
                strides.push(0);
                continue;
            }
            let digits = split(s)?;
            for ((high, low), digit) in reach.iter_mut().zip(&mut low).zip(&digits) {
                let travel = digit * (d as i64 - 1);
                *(if travel > 0 { high } else { low }) += travel;
            }
            strides.push(digits.iter().zip(&base.strides).map(|(a, b)| a * b).sum());
        }
        // A digit that leaves its axis would carry into the next, which strides cannot express.
        let inside = reach.iter().zip(base.shape.iter()).all(|(r, d)| *r < (*d).max(1) as i64) && low.iter().all(|l| *l >= 0);
        let offset = base.offset + start.iter().zip(&base.strides).map(|(a, b)| a * b).sum::<i64>();
        inside.then(|| View { shape: self.shape.clone(), strides, offset })
    }

    /// Extents and strides with extents of 1 dropped and axes that are walked without a gap joined: two views with equal
    /// runs and offsets take the same elements in the same order.
    pub fn runs(&self) -> Vec<(usize, i64)> {
        joined_axes(&self.shape, [&self.strides]).into_iter().map(|axis| (axis.extent, axis.strides[0])).collect()
    }

    /// True when both take the same elements in the same order; their extents may differ.
    pub fn same_elements(&self, other: &View) -> bool {
        self.offset == other.offset && self.runs() == other.runs()
    }

    /// The positions of all elements in row-major order of the view.
    pub fn positions(&self) -> impl Iterator<Item = usize> + '_ {
        let mut index = vec![0usize; self.shape.rank()];
        let mut position = self.offset;
        (0..self.shape.elements()).map(move |_| {
            let here = position as usize;
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                position += self.strides[axis];
                if index[axis] < self.shape[axis] {
                    break;
                }
                position -= self.strides[axis] * self.shape[axis] as i64;
                index[axis] = 0;
            }
            here
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positions(v: &View) -> Vec<usize> {
        v.positions().collect()
    }

    #[test]
    fn transpose_then_reshape_needs_a_copy_unless_runs_survive() {
        let v = View::contiguous(&[2, 3, 4].into());
        assert!(v.transpose(&[1, 0, 2]).reshape(&[6, 4].into()).is_none());
        let split = v.transpose(&[1, 0, 2]).reshape(&[3, 2, 2, 2].into()).expect("splitting an axis is a view");
        assert_eq!(split.strides, [4, 12, 2, 1]);
    }

    #[test]
    fn composition_equals_walking_both() {
        let base = View::contiguous(&[4, 6].into()).transpose(&[1, 0]);
        let top = View::contiguous(&[6, 4].into()).slice(0, 1, 3, 2).slice(1, 3, 4, -1);
        let both = top.of(&base).expect("slices of a transpose are one view");
        let buffer = positions(&base);
        assert_eq!(positions(&both), positions(&top).iter().map(|&p| buffer[p]).collect::<Vec<_>>());
    }

    #[test]
    fn composition_refuses_a_carry() {
        let base = View::contiguous(&[4, 6].into()).transpose(&[1, 0]);
        assert!(View::contiguous(&[24].into()).of(&base).is_none());
    }

    #[test]
    fn broadcast_has_stride_zero() {
        let v = View::contiguous(&[3, 1].into()).broadcast(&[2, 3, 2].into()).expect("it broadcasts");
        assert_eq!(positions(&v), [0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2]);
    }
}
