//! Writing nodes of common operators in a few words.

use super::elementwise::{binary, cast, select, unary};
use super::pad::{PadMode, pad};
use super::reduce::{Reduction, reduce};
use super::scatter::scatter_elements;
use super::view::strided_view;
use crate::error::{Error, Result};
use crate::graph::{ValueId, Writer};
use crate::tensor::{DType, MAX_RANK, Shape, Tensor, TensorType, View};

/// Words for what compositions and gradients are made of.
pub(crate) trait Compose {
    /// A scalar function of one or two values.
    fn function(&mut self, name: &str, inputs: &[ValueId]) -> Result<ValueId>;

    /// A value under another shape of as many elements.
    fn reshape(&mut self, value: ValueId, shape: &[usize]) -> Result<ValueId>;

    /// A value and a number of its dtype, in this order.
    fn with_number(&mut self, name: &str, value: ValueId, number: f64) -> Result<ValueId>;

    /// The second value where the first, a bool, is true, the third elsewhere.
    fn chosen(&mut self, condition: ValueId, yes: ValueId, no: ValueId) -> Result<ValueId>;

    /// A value where a bool is true, zero elsewhere.
    fn kept(&mut self, condition: ValueId, value: ValueId) -> Result<ValueId>;

    /// A bool as 0 and 1 of a dtype.
    fn counted(&mut self, condition: ValueId, dtype: DType) -> Result<ValueId>;

    /// A tensor of zeros.
    fn zeros(&mut self, dtype: DType, shape: &Shape) -> Result<ValueId>;

    /// Elements of a value along an axis: so many, from a first one on, in steps.
    fn sliced(&mut self, value: ValueId, axis: usize, first: usize, count: usize, step: i64) -> Result<ValueId>;

    /// A reduction over these axes, which stay as ones.
    fn reduced(&mut self, reduction: Reduction, value: ValueId, axes: &[usize]) -> Result<ValueId>;

    /// Axis `k` of the result is axis `permutation[k]` of the value.
    fn transposed(&mut self, value: ValueId, permutation: &[usize]) -> Result<ValueId>;

    /// A value stretched to a shape by numpy's rule.
    fn stretched(&mut self, value: ValueId, shape: &Shape) -> Result<ValueId>;

    /// The sum of all elements that an element of this shape was stretched to.
    fn sum_to(&mut self, value: ValueId, shape: &Shape) -> Result<ValueId>;

    /// For each element of a tensor of this shape, the sum of the elements of `value` that a view of it shows there.
    fn view_sum(&mut self, value: ValueId, view: &View, shape: &Shape) -> Result<ValueId>;
}

impl Compose for Writer {
    fn function(&mut self, name: &str, inputs: &[ValueId]) -> Result<ValueId> {
        let op = if inputs.len() == 1 { unary(name)? } else { binary(name)? };
        self.apply(op, inputs)
    }

    fn reshape(&mut self, value: ValueId, shape: &[usize]) -> Result<ValueId> {
        if self.fact(value)?.shape().dims() == shape {
            return Ok(value);
        }
        self.apply(strided_view(View::contiguous(&shape.into())), &[value])
    }

    fn with_number(&mut self, name: &str, value: ValueId, number: f64) -> Result<ValueId> {
        let number = self.number(self.fact(value)?.dtype(), number)?;
        self.function(name, &[value, number])
    }

    fn chosen(&mut self, condition: ValueId, yes: ValueId, no: ValueId) -> Result<ValueId> {
        self.apply(select()?, &[condition, yes, no])
    }

    fn kept(&mut self, condition: ValueId, value: ValueId) -> Result<ValueId> {
        let zero = self.number(self.fact(value)?.dtype(), 0.0)?;
        self.chosen(condition, value, zero)
    }

    fn counted(&mut self, condition: ValueId, dtype: DType) -> Result<ValueId> {
        self.apply(cast(dtype)?, &[condition])
    }

    fn zeros(&mut self, dtype: DType, shape: &Shape) -> Result<ValueId> {
        let zero = self.number(dtype, 0.0)?;
        self.stretched(zero, shape)
    }

    fn sliced(&mut self, value: ValueId, axis: usize, first: usize, count: usize, step: i64) -> Result<ValueId> {
        let view = View::contiguous(self.fact(value)?.shape()).slice(axis, first, count, step);
        self.apply(strided_view(view), &[value])
    }

    fn reduced(&mut self, reduction: Reduction, value: ValueId, axes: &[usize]) -> Result<ValueId> {
        if axes.is_empty() {
            return Ok(value);
        }
        self.apply(reduce(reduction, Some(axes.iter().map(|axis| *axis as i64).collect()), true, false), &[value])
    }

    fn transposed(&mut self, value: ValueId, permutation: &[usize]) -> Result<ValueId> {
        if permutation.iter().enumerate().all(|(k, axis)| k == *axis) {
            return Ok(value);
        }
        let view = View::contiguous(self.fact(value)?.shape()).transpose(permutation);
        self.apply(strided_view(view), &[value])
    }

    fn stretched(&mut self, value: ValueId, shape: &Shape) -> Result<ValueId> {
        let own = self.fact(value)?.shape().clone();
        if own == *shape {
            return Ok(value);
        }
        let view = View::contiguous(&own).broadcast(shape);
        let view = view.ok_or_else(|| Error::internal(format!("{own} does not stretch to {shape}")))?;
        self.apply(strided_view(view), &[value])
    }

    fn sum_to(&mut self, value: ValueId, shape: &Shape) -> Result<ValueId> {
        let full = self.fact(value)?.shape().clone();
        let missing = full.rank().saturating_sub(shape.rank());
        let stretched = |axis: &usize| *axis < missing || (shape[*axis - missing] == 1 && full[*axis] != 1);
        let axes: Vec<usize> = (0..full.rank()).filter(stretched).collect();
        let sum = self.reduced(Reduction::Sum, value, &axes)?;
        self.reshape(sum, shape.dims())
    }

    fn view_sum(&mut self, value: ValueId, view: &View, shape: &Shape) -> Result<ValueId> {
        if view.shape.elements() == 0 {
            let dtype = self.fact(value)?.dtype();
            return self.zeros(dtype, shape);
        }
        let repeated: Vec<usize> = (0..view.shape.rank()).filter(|k| view.strides[*k] == 0 && view.shape[*k] > 1).collect();
        let value = if view.shape.rank() <= MAX_RANK {
            let value = self.reshape(value, view.shape.dims())?;
            self.reduced(Reduction::Sum, value, &repeated)?
        } else {
            without_repeats(self, value, &view.shape, &repeated)?
        };
        // Axes of one element stand nowhere.
        let mut axes: Vec<usize> = (0..view.shape.rank()).filter(|k| view.strides[*k] != 0 && view.shape[*k] > 1).collect();
        axes.sort_by_key(|k| std::cmp::Reverse(view.strides[*k]));
        let kept: Vec<usize> = (0..view.shape.rank()).filter(|k| axes.contains(k)).collect();
        let extents = |axes: &[usize]| axes.iter().map(|k| view.shape[*k]).collect::<Vec<usize>>();
        let value = self.reshape(value, &extents(&kept))?;
        let order: Vec<usize> = axes.iter().filter_map(|k| kept.iter().position(|kept| kept == k)).collect();
        let value = self.transposed(value, &order)?;
        let strides: Vec<i64> = axes.iter().map(|k| view.strides[*k]).collect();
        if let Some(padded) = padded(self, value, &strides, view.offset, shape)? {
            return Ok(padded);
        }
        // Anything else is put where it stands, element by element.
        let seen = View { shape: extents(&axes).as_slice().into(), strides, offset: view.offset };
        let positions: Vec<i64> = seen.positions().map(|position| position as i64).collect();
        let dtype = self.fact(value)?.dtype();
        let values = self.reshape(value, &[positions.len()])?;
        let positions = self.tensor(Tensor::vector(&positions));
        let zeros = self.tensor(Tensor::zeros(TensorType::new(dtype, [shape.elements()])));
        let combine = Some(super::scatter::Combine::Add);
        let sum = self.apply(scatter_elements(0, combine), &[zeros, positions, values])?;
        self.reshape(sum, shape.dims())
    }
}

/// The sums over some axes, one after the other, of what has more axes than a tensor may have.
fn without_repeats(writer: &mut Writer, value: ValueId, shape: &Shape, axes: &[usize]) -> Result<ValueId> {
    let (mut value, mut extents) = (value, shape.to_vec());
    for axis in axes {
        let lines = [extents[..*axis].iter().product(), extents[*axis], extents[*axis + 1..].iter().product()];
        value = writer.reshape(value, &lines)?;
        value = writer.reduced(Reduction::Sum, value, &[1])?;
        extents[*axis] = 1;
    }
    Ok(value)
}

/// A box of a tensor of this shape, whose axes have these strides, with zeros around; `None` where it is no box.
fn padded(writer: &mut Writer, value: ValueId, strides: &[i64], offset: i64, shape: &Shape) -> Result<Option<ValueId>> {
    let whole = View::contiguous(shape);
    let extents = writer.fact(value)?.shape().clone();
    if strides == View::contiguous(&extents).strides.as_slice() && extents.elements() == shape.elements() {
        return writer.reshape(value, shape.dims()).map(Some);
    }
    let mut within = vec![1usize; shape.rank()];
    for (stride, extent) in strides.iter().zip(extents.iter()) {
        let axis = (0..shape.rank()).find(|axis| whole.strides[*axis] == *stride && shape[*axis] >= *extent && shape[*axis] > 1);
        let Some(axis) = axis else { return Ok(None) };
        within[axis] = *extent;
    }
    let mut rest = offset;
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for axis in 0..shape.rank() {
        let start = if whole.strides[axis] == 0 || shape[axis] <= 1 { 0 } else { rest / whole.strides[axis] };
        rest -= start * if shape[axis] <= 1 { 0 } else { whole.strides[axis] };
        let end = shape[axis] as i64 - start - within[axis] as i64;
        if end < 0 {
            return Ok(None);
        }
        before.push(start);
        after.push(end);
    }
    if rest != 0 {
        return Ok(None);
    }
    let value = writer.reshape(value, &within)?;
    let amounts = writer.tensor(Tensor::vector(&[before, after].concat()));
    writer.apply(pad(PadMode::Constant), &[value, amounts]).map(Some)
}
