//! Gradients of reductions: what a set became is worth the same for all values of the set, or as much as each had part in it.

use super::{Reduce, Reduction};
use crate::error::Result;
use crate::graph::{Gradient, Node, ValueId, Writer};
use crate::ops::compose::Compose;
use crate::tensor::{DType, Shape};

/// The values of a reduction, their sets' results and what these are worth, both with the reduced axes as ones.
struct Sets {
    x: ValueId,
    y: ValueId,
    worth: ValueId,
    axes: Vec<usize>,
    dtype: DType,
}

/// The gradient of the values that are reduced.
pub(super) fn gradient(
    op: &Reduce,
    node: &Node,
    upstream: &[Option<ValueId>],
    wanted: &[bool],
    writer: &mut Writer,
) -> Result<Gradient> {
    let (Some(worth), Some(y)) = (upstream.first().copied().flatten(), node.outputs.first().copied().flatten()) else {
        return Ok(Gradient::Zero);
    };
    let x = node.needed(0)?;
    let facts = writer.input_facts(node)?;
    let reduced = op.reduced_of(&facts)?;
    let (shape, dtype) = (writer.fact(x)?.shape().clone(), writer.fact(x)?.dtype());
    let kept: Vec<usize> = shape.iter().zip(&reduced).map(|(extent, reduced)| if *reduced { 1 } else { *extent }).collect();
    let axes = (0..shape.rank()).filter(|axis| reduced[*axis]).collect();
    let (y, worth) = (writer.reshape(y, &kept)?, writer.reshape(worth, &kept)?);
    let found = Sets { x, y, worth, axes, dtype }.gradient(op.reduction, &shape, writer)?;
    let found = writer.stretched(found, &shape)?;
    let mut all = vec![None; wanted.len()];
    all.iter_mut().take(1).for_each(|first| *first = Some(found));
    Ok(Gradient::Inputs(all))
}

impl Sets {
    /// What the values are worth, of their shape or one that stretches to it.
    fn gradient(&self, reduction: Reduction, shape: &Shape, writer: &mut Writer) -> Result<ValueId> {
        let Sets { x, y, worth, .. } = *self;
        match reduction {
            Reduction::Sum => Ok(worth),
            Reduction::Mean => {
                let count: usize = self.axes.iter().map(|axis| shape[*axis]).product();
                writer.with_number("Div", worth, count as f64)
            }
            Reduction::Max | Reduction::Min => self.of_extreme(writer),
            Reduction::Prod => self.of_product(writer),
            Reduction::L1 => {
                let sign = writer.function("Sign", &[x])?;
                writer.function("Mul", &[worth, sign])
            }
            Reduction::L2 => {
                // 0 where all values are.
                let quotient = writer.function("Div", &[x, y])?;
                let product = writer.function("Mul", &[worth, quotient])?;
                let some = writer.with_number("Greater", y, 0.0)?;
                writer.kept(some, product)
            }
            Reduction::LogSum => {
                let sum = writer.reduced(Reduction::Sum, x, &self.axes)?;
                writer.function("Div", &[worth, sum])
            }
            Reduction::LogSumExp => {
                // Where all values are minus infinity, so is the result, and each has no part in it.
                let lowest = if self.dtype == DType::F16 { -6e4 } else { -1e38 };
                let y = writer.with_number("Max", y, lowest)?;
                let less = writer.function("Sub", &[x, y])?;
                let part = writer.function("Exp", &[less])?;
                writer.function("Mul", &[worth, part])
            }
            Reduction::SumSquare => {
                let twice = writer.with_number("Mul", x, 2.0)?;
                writer.function("Mul", &[worth, twice])
            }
        }
    }

    /// Equal extremes share the gradient equally.
    fn of_extreme(&self, writer: &mut Writer) -> Result<ValueId> {
        let extreme = writer.function("Equal", &[self.x, self.y])?;
        let ones = writer.counted(extreme, self.dtype)?;
        let count = writer.reduced(Reduction::Sum, ones, &self.axes)?;
        let share = writer.function("Div", &[self.worth, count])?;
        writer.kept(extreme, share)
    }

    fn of_product(&self, writer: &mut Writer) -> Result<ValueId> {
        let factors = Factors::new(self.x, writer)?;
        let product = writer.reduced(Reduction::Prod, factors.others, &self.axes)?;
        let zeros = writer.reduced(Reduction::Sum, factors.zeros, &self.axes)?;
        let slope = factors.without_each(product, zeros, writer)?;
        writer.function("Mul", &[self.worth, slope])
    }
}

/// The factors of products, zeros apart.
pub(crate) struct Factors {
    is_zero: ValueId,
    /// 1 for each that is zero, else 0.
    pub(crate) zeros: ValueId,
    /// The factors, with 1 in the place of zero.
    pub(crate) others: ValueId,
}

impl Factors {
    pub(crate) fn new(x: ValueId, writer: &mut Writer) -> Result<Self> {
        let dtype = writer.fact(x)?.dtype();
        let is_zero = writer.with_number("Equal", x, 0.0)?;
        let zeros = writer.counted(is_zero, dtype)?;
        let one = writer.number(dtype, 1.0)?;
        let others = writer.chosen(is_zero, one, x)?;
        Ok(Factors { is_zero, zeros, others })
    }

    /// For each factor the product of all others, from the product of all that are not zero and the number of those that are.
    pub(crate) fn without_each(&self, product: ValueId, zeros: ValueId, writer: &mut Writer) -> Result<ValueId> {
        let rest = writer.function("Div", &[product, self.others])?;
        let none = writer.with_number("Equal", zeros, 0.0)?;
        let only = writer.with_number("Equal", zeros, 1.0)?;
        let (of_zero, of_other) = (writer.kept(only, product)?, writer.kept(none, rest)?);
        writer.chosen(self.is_zero, of_zero, of_other)
    }
}
