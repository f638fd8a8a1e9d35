//! The gradient of a normalization.

use super::super::compose::Compose;
use super::super::elementwise::cast;
use super::super::reduce::Reduction;
use super::backward::norm_gradient;
use super::{Normalization, Rows};
use crate::error::Result;
use crate::graph::{Gradient, Node, Op, ValueId, Writer, required};
use crate::kernel::preludes;
use crate::tensor::{DType, Shape};

/// The value in another dtype.
pub(super) fn in_dtype(writer: &mut Writer, value: ValueId, dtype: DType) -> Result<ValueId> {
    if writer.fact(value)?.dtype() == dtype { Ok(value) } else { writer.apply(cast(dtype)?, &[value]) }
}

/// Rows as they were normalised.
struct Statistics {
    /// The axes of a row.
    axes: Vec<usize>,
    /// Input 0 as scale and bias see it, less the mean and over the deviation.
    normal: ValueId,
    /// One over the deviation.
    inverse: ValueId,
    /// How many elements a row has.
    count: usize,
}

impl Normalization {
    /// Mean and deviation are made again: those that the node leaves are rounded to f32.
    fn statistics_of(&self, writer: &mut Writer, x: ValueId, seen: &Shape, count: usize) -> Result<Statistics> {
        let first = match self.rows {
            Rows::Layer { axis } | Rows::Rms { axis } => seen.axis(axis)?,
            Rows::Instance | Rows::Group { .. } => 2,
        };
        let axes: Vec<usize> = (first..seen.rank()).collect();
        let mut centered = writer.reshape(x, seen.dims())?;
        if self.centered() {
            let mean = writer.reduced(Reduction::Mean, centered, &axes)?;
            centered = writer.function("Sub", &[centered, mean])?;
        }
        let square = writer.function("Mul", &[centered, centered])?;
        let variance = writer.reduced(Reduction::Mean, square, &axes)?;
        let variance = writer.with_number("Add", variance, self.epsilon.into())?;
        let deviation = writer.function("Sqrt", &[variance])?;
        let inverse = writer.function("Reciprocal", &[deviation])?;
        let normal = writer.function("Mul", &[centered, inverse])?;
        Ok(Statistics { axes, normal, inverse, count })
    }

    /// The same by an operator of its own, where rows have a scale for each column, and their statistics are nobody's concern.
    fn by_kernel(
        &self,
        node: &Node,
        upstream: &[Option<ValueId>],
        wanted: &[bool],
        writer: &mut Writer,
    ) -> Result<Option<Gradient>> {
        let (Some(Some(worth)), Rows::Layer { .. } | Rows::Rms { .. }) = (upstream.first(), self.rows) else { return Ok(None) };
        let facts = writer.input_facts(node)?;
        let (x, scale) = (required(self.name(), &facts, 0)?.ty.clone(), required(self.name(), &facts, 1)?.ty.clone());
        let alike = facts.get(2).copied().flatten().is_none_or(|bias| bias.ty == scale) && scale.dtype == x.dtype;
        let g = self.geometry(&x.shape, Some(&scale.shape))?;
        let by_column = self.affine(&g).is_ok_and(|affine| affine.prelude == &preludes::AFFINE_COLUMNS);
        if upstream.iter().skip(1).any(Option::is_some) || !alike || !by_column || x.elements() == 0 {
            return Ok(None);
        }
        let matrix = [g.rows, g.columns];
        let rows = writer.reshape(node.needed(0)?, &matrix)?;
        let own = writer.reshape(node.needed(1)?, &matrix[1..])?;
        let worth = writer.reshape(*worth, &matrix)?;
        let made = writer.apply_all(norm_gradient(self.centered(), self.epsilon), &[Some(rows), Some(own), Some(worth)], 3)?;
        let mut found = Vec::with_capacity(wanted.len());
        for ((value, ty), wanted) in made.into_iter().zip([&x, &scale, &scale]).zip(wanted) {
            found.push(if *wanted { Some(writer.reshape(value, ty.shape.dims())?) } else { None });
        }
        found.resize(wanted.len(), None);
        Ok(Some(Gradient::Inputs(found)))
    }

    /// With `n` the normalised input and `h` what its change is worth, that of the input is worth `(h - mean(h) - n mean(h n)) / deviation`
    /// (Ba et al. 2016, "Layer Normalization"); without a mean its term falls away.
    pub(super) fn gradients(
        &self,
        node: &Node,
        upstream: &[Option<ValueId>],
        wanted: &[bool],
        writer: &mut Writer,
    ) -> Result<Gradient> {
        if let Some(found) = self.by_kernel(node, upstream, wanted, writer)? {
            return Ok(found);
        }
        let facts = writer.input_facts(node)?;
        let (x, scale) = (required(self.name(), &facts, 0)?.ty.clone(), required(self.name(), &facts, 1)?.ty.clone());
        let bias = facts.get(2).copied().flatten().map(|fact| fact.ty.clone());
        let g = self.geometry(&x.shape, Some(&scale.shape))?;
        let statistics = self.statistics_of(writer, node.needed(0)?, &g.seen, g.columns)?;
        let wants = |k: usize| wanted.get(k).copied().unwrap_or(false);
        let mut found = vec![None; wanted.len()];
        let worth = upstream.first().copied().flatten().map(|worth| writer.reshape(worth, g.seen.dims())).transpose()?;
        if let (Some(worth), true) = (worth, wants(1)) {
            let product = writer.function("Mul", &[worth, statistics.normal])?;
            let sum = writer.sum_to(product, &g.parameter)?;
            let sum = writer.reshape(sum, scale.shape.dims())?;
            found[1] = Some(in_dtype(writer, sum, scale.dtype)?);
        }
        if let (Some(worth), true, Some(bias)) = (worth, wants(2), bias) {
            let parameter = self.geometry(&x.shape, Some(&bias.shape))?.parameter;
            let sum = writer.sum_to(worth, &parameter)?;
            let sum = writer.reshape(sum, bias.shape.dims())?;
            found[2] = Some(in_dtype(writer, sum, bias.dtype)?);
        }
        if wants(0) {
            let mut sum: Option<ValueId> = None;
            if let Some(worth) = worth {
                let scale = in_dtype(writer, node.needed(1)?, x.dtype)?;
                let scale = writer.reshape(scale, g.parameter.dims())?;
                let worth = writer.function("Mul", &[worth, scale])?;
                sum = Some(self.through_rows(writer, &statistics, worth)?);
            }
            for output in [1, 2] {
                let Some(worth) = upstream.get(output).copied().flatten() else { continue };
                let worth = in_dtype(writer, worth, x.dtype)?;
                let term = through_statistic(writer, &statistics, output, worth)?;
                sum = Some(match sum {
                    Some(sum) => writer.function("Add", &[sum, term])?,
                    None => writer.stretched(term, &g.seen)?,
                });
            }
            found[0] = sum.map(|sum| writer.reshape(sum, x.shape.dims())).transpose()?;
        }
        Ok(Gradient::Inputs(found))
    }

    /// What a change of the input is worth, from what one of the normalised input is.
    fn through_rows(&self, writer: &mut Writer, statistics: &Statistics, worth: ValueId) -> Result<ValueId> {
        let Statistics { axes, normal, inverse, .. } = statistics;
        let product = writer.function("Mul", &[worth, *normal])?;
        let along = writer.reduced(Reduction::Mean, product, axes)?;
        let along = writer.function("Mul", &[*normal, along])?;
        let mut rest = worth;
        if self.centered() {
            let mean = writer.reduced(Reduction::Mean, worth, axes)?;
            rest = writer.function("Sub", &[rest, mean])?;
        }
        let rest = writer.function("Sub", &[rest, along])?;
        writer.function("Mul", &[rest, *inverse])
    }
}

/// The same from what a change of the mean (output 1) or of one over the deviation (output 2) is worth.
fn through_statistic(writer: &mut Writer, statistics: &Statistics, output: usize, worth: ValueId) -> Result<ValueId> {
    let each = writer.with_number("Mul", worth, 1.0 / statistics.count.max(1) as f64)?;
    if output == 1 {
        return Ok(each);
    }
    let square = writer.function("Mul", &[statistics.inverse, statistics.inverse])?;
    let factor = writer.function("Mul", &[each, square])?;
    let product = writer.function("Mul", &[factor, statistics.normal])?;
    writer.function("Neg", &[product])
}
