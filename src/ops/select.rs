//! Operators whose output is as long as their data says: Compress, NonZero and Unique. They run on the host: their
//! shapes need the value itself there.

use super::Registration;
use super::compose::Compose;
use super::gather::slices_sum;
use super::shared::{compare_floats, pick};
use crate::error::{Error, Result};
use crate::graph::{Fact, Gradient, Io, Node, Op, ValueId, Writer, required};
use crate::kernel::Offers;
use crate::tensor::{Shape, Tensor, TensorType};
use std::cmp::Ordering;
use std::sync::Arc;

/// The operators of this file.
pub static REGISTRATION: Registration = Registration { operators: &["Compress", "NonZero", "Unique"], shaders: &[] };

/// Why an operator of this file has no kernel.
fn on_host(op: &'static str) -> Result<()> {
    Err(Error::unsupported(format!("the length of the output of {op} depends on data, so it is computed on the host")))
}

fn known<'a>(op: &'static str, inputs: &[Option<&'a Fact>], index: usize) -> Result<&'a Tensor> {
    required(op, inputs, index)?.value.as_ref().ok_or_else(|| Error::needs_value(index))
}

/// ONNX Compress: the slices along an axis for which the condition in input 1 holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Compress {
    /// The axis; `None` takes the elements of the flattened tensor.
    pub axis: Option<i64>,
}

/// The slices of input 0 for which the condition in input 1 holds.
pub fn compress(axis: Option<i64>) -> Arc<dyn Op> {
    Arc::new(Compress { axis })
}

impl Compress {
    /// The data's shape, an axis, the indices kept along it, and the output's shape.
    fn kept(&self, data: &Shape, condition: &Tensor) -> Result<(Shape, usize, Vec<usize>, Shape)> {
        let (data, axis) = match self.axis {
            None => (Shape::from([data.elements()]), 0),
            Some(axis) => (data.clone(), data.axis(axis)?),
        };
        let kept: Vec<usize> = condition.to_i128().iter().enumerate().filter(|(_, c)| **c != 0).map(|(k, _)| k).collect();
        if condition.elements() > data[axis] {
            return Err(Error::invalid_model(format!(
                "expected at most {} conditions, found {}",
                data[axis],
                condition.elements()
            )));
        }
        let mut dims = data.to_vec();
        dims[axis] = kept.len();
        Ok((data, axis, kept, dims.into()))
    }
}

impl Op for Compress {
    fn name(&self) -> &'static str {
        "Compress"
    }

    crate::attributes!(axis);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let data = required("Compress", inputs, 0)?;
        let (.., shape) = self.kept(data.shape(), known("Compress", inputs, 1)?)?;
        Ok(vec![Fact::new(data.dtype(), shape).bounded(data.bounds)])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let data = required("Compress", inputs, 0)?;
        let (seen, axis, kept, shape) = self.kept(data.shape(), required("Compress", inputs, 1)?)?;
        let inner = seen.product(axis + 1..seen.rank());
        let mut positions = Vec::with_capacity(shape.elements());
        for outer in 0..seen.product(0..axis) {
            for k in &kept {
                let start = (outer * seen[axis] + k) * inner;
                positions.extend((start..start + inner).map(Some));
            }
        }
        Ok(vec![pick(data, None, &shape, positions)?])
    }

    fn lower(&self, _: &Io, _: &mut Offers) -> Result<()> {
        on_host("Compress")
    }

    fn gradient(&self, node: &Node, upstream: &[Option<ValueId>], _: &[bool], writer: &mut Writer) -> Result<Gradient> {
        let Some(worth) = upstream.first().copied().flatten() else { return Ok(Gradient::Zero) };
        let own = writer.fact(node.needed(0)?)?.shape().clone();
        let facts = writer.input_facts(node)?;
        let (seen, axis, kept, _) = self.kept(&own, known("Compress", &facts, 1)?)?;
        let kept: Vec<i64> = kept.into_iter().map(|place| place as i64).collect();
        let kept = writer.tensor(Tensor::vector(&kept));
        let sums = slices_sum(worth, kept, axis, &seen, writer)?;
        Ok(Gradient::Inputs(vec![Some(writer.reshape(sums, own.dims())?), None]))
    }
}

/// ONNX NonZero: the indices of all elements that are not zero, one row for each axis.
#[derive(Clone, Debug, PartialEq)]
pub struct NonZero;

/// The indices of all elements that are not zero.
pub fn non_zero() -> Arc<dyn Op> {
    Arc::new(NonZero)
}

fn non_zero_places(data: &Tensor) -> Vec<usize> {
    let found = |flags: Vec<bool>| flags.iter().enumerate().filter(|(_, f)| **f).map(|(k, _)| k).collect();
    if data.dtype().is_float() {
        found(data.to_f64().iter().map(|v| *v != 0.0).collect())
    } else {
        found(data.to_i128().iter().map(|v| *v != 0).collect())
    }
}

impl Op for NonZero {
    fn name(&self) -> &'static str {
        "NonZero"
    }

    crate::attributes!();

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let data = known("NonZero", inputs, 0)?;
        let largest = data.shape().iter().max().map_or(0, |d| *d as i128 - 1);
        let shape = [data.shape().rank(), non_zero_places(data).len()];
        Ok(vec![Fact::new(crate::tensor::DType::I64, shape).bounded(Some((0, largest.max(0))))])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let data = required("NonZero", inputs, 0)?;
        let places = non_zero_places(data);
        let strides = data.shape().strides();
        let rows = data.shape().iter().zip(&strides);
        let indices: Vec<i64> = rows.flat_map(|(d, s)| places.iter().map(move |p| (p / s % d) as i64)).collect();
        Ok(vec![Tensor::new([data.shape().rank(), places.len()], &indices)?])
    }

    fn lower(&self, _: &Io, _: &mut Offers) -> Result<()> {
        on_host("NonZero")
    }
}

/// ONNX Unique: the distinct slices along an axis; then where each stands first, which each slice is, and how often each
/// stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Unique {
    /// The axis; `None` takes the elements of the flattened tensor.
    pub axis: Option<i64>,
    /// Ascending, instead of in order of appearance.
    pub sorted: bool,
}

/// The distinct slices (or elements) of a tensor.
pub fn unique(axis: Option<i64>, sorted: bool) -> Arc<dyn Op> {
    Arc::new(Unique { axis, sorted })
}

impl Unique {
    fn all(&self, data: &Tensor) -> Result<Vec<Tensor>> {
        let (seen, axis) = match self.axis {
            None => (Shape::from([data.elements()]), 0),
            Some(axis) => (data.shape().clone(), data.shape().axis(axis)?),
        };
        let inner = seen.product(axis + 1..seen.rank());
        let outer = seen.product(0..axis);
        let extent = seen[axis];
        let position = move |slice: usize, k: usize| (k / inner * extent + slice) * inner + k % inner;
        let size = outer * inner;
        // Floats compare as f64, all else as integers; NaN counts as the largest and equals itself.
        let (floats, integers) = if data.dtype().is_float() { (data.to_f64(), vec![]) } else { (vec![], data.to_i128()) };
        let compare = |a: &usize, b: &usize| -> Ordering {
            let element = |k: usize| {
                let (p, q) = (position(*a, k), position(*b, k));
                if integers.is_empty() { compare_floats(floats[p], floats[q]) } else { integers[p].cmp(&integers[q]) }
            };
            (0..size).map(element).find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
        };
        let mut order: Vec<usize> = (0..extent).collect();
        order.sort_by(compare);
        // Groups of equal slices in ascending order; the sort is stable, so each starts with its first appearance.
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for slice in order {
            match groups.last_mut() {
                Some(group) if compare(&group[0], &slice).is_eq() => group.push(slice),
                _ => groups.push(vec![slice]),
            }
        }
        if !self.sorted {
            groups.sort_by_key(|g| g[0]);
        }
        let mut inverse = vec![0i64; extent];
        for (number, group) in groups.iter().enumerate() {
            group.iter().for_each(|slice| inverse[*slice] = number as i64);
        }
        let firsts: Vec<i64> = groups.iter().map(|g| g[0] as i64).collect();
        let counts: Vec<i64> = groups.iter().map(|g| g.len() as i64).collect();
        let mut dims = seen.to_vec();
        dims[axis] = groups.len();
        let shape = Shape::from(dims);
        let source = |place: usize| {
            let slice = groups[place / inner % groups.len()][0];
            Some(position(slice, place / inner / groups.len() * inner + place % inner))
        };
        let values = pick(data, None, &shape, (0..shape.elements()).map(source))?;
        Ok(vec![values, Tensor::vector(&firsts), Tensor::vector(&inverse), Tensor::vector(&counts)])
    }
}

impl Op for Unique {
    fn name(&self) -> &'static str {
        "Unique"
    }

    crate::attributes!(axis, sorted);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let outputs = self.all(known("Unique", inputs, 0)?)?;
        let untold = |t: Tensor| {
            let bounds = Fact::of(t.clone()).bounds;
            let ty: TensorType = t.ty().clone();
            Fact { ty, value: None, bounds }
        };
        Ok(outputs.into_iter().map(untold).collect())
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        self.all(required("Unique", inputs, 0)?)
    }

    fn lower(&self, _: &Io, _: &mut Offers) -> Result<()> {
        on_host("Unique")
    }
}
