//! Gradients of tensors with some elements replaced or combined.

use super::{Combine, scatter_elements, scatter_nd};
use crate::error::Result;
use crate::graph::{Gradient, Node, ValueId, Writer};
use crate::ops::compose::Compose;
use crate::ops::gather::{gather_elements, gather_nd};
use crate::ops::reduce::Factors;

/// How indices name elements.
#[derive(Clone, Copy)]
pub(super) enum Places {
    /// One by one along an axis.
    Along(i64),
    /// By tuples.
    Tuples,
}

/// Elements of a tensor, named by indices.
struct Indexed {
    places: Places,
    indices: ValueId,
}

impl Indexed {
    fn scatter(&self, combine: Option<Combine>, data: ValueId, updates: ValueId, writer: &mut Writer) -> Result<ValueId> {
        let op = match self.places {
            Places::Along(axis) => scatter_elements(axis, combine),
            Places::Tuples => scatter_nd(combine),
        };
        writer.apply(op, &[data, self.indices, updates])
    }

    fn gather(&self, data: ValueId, writer: &mut Writer) -> Result<ValueId> {
        let op = match self.places {
            Places::Along(axis) => gather_elements(axis),
            Places::Tuples => gather_nd(0),
        };
        writer.apply(op, &[data, self.indices])
    }
}

/// The gradients of the data and of the updates.
pub(super) fn gradient(
    places: Places,
    combine: Option<Combine>,
    node: &Node,
    upstream: &[Option<ValueId>],
    wanted: &[bool],
    writer: &mut Writer,
) -> Result<Gradient> {
    let (Some(worth), Some(result)) = (upstream.first().copied().flatten(), node.outputs.first().copied().flatten()) else {
        return Ok(Gradient::Zero);
    };
    let (data, updates) = (node.needed(0)?, node.needed(2)?);
    let indexed = Indexed { places, indices: node.needed(1)? };
    let is_wanted = |k: usize| wanted.get(k).copied().unwrap_or(false);
    let (of_data, of_updates) = match combine {
        None => {
            let of_data = match is_wanted(0) {
                true => {
                    let fact = writer.fact(updates)?.ty.clone();
                    let zeros = writer.zeros(fact.dtype, &fact.shape)?;
                    Some(indexed.scatter(None, worth, zeros, writer)?)
                }
                false => None,
            };
            (of_data, Some(indexed.gather(worth, writer)?))
        }
        Some(Combine::Add) => (Some(worth), Some(indexed.gather(worth, writer)?)),
        Some(Combine::Mul) => of_products(&indexed, [data, updates, worth], writer)?,
        Some(Combine::Max | Combine::Min) => of_extremes(&indexed, [data, updates, worth], result, writer)?,
    };
    Ok(Gradient::Inputs(vec![of_data, None, of_updates]))
}

type Both = (Option<ValueId>, Option<ValueId>);

/// Each factor is worth the product of the others.
fn of_products(indexed: &Indexed, [data, updates, worth]: [ValueId; 3], writer: &mut Writer) -> Result<Both> {
    let (own, given) = (Factors::new(data, writer)?, Factors::new(updates, writer)?);
    let product = indexed.scatter(Some(Combine::Mul), own.others, given.others, writer)?;
    let zeros = indexed.scatter(Some(Combine::Add), own.zeros, given.zeros, writer)?;
    let slope = own.without_each(product, zeros, writer)?;
    let of_data = writer.function("Mul", &[worth, slope])?;
    let (product, zeros) = (indexed.gather(product, writer)?, indexed.gather(zeros, writer)?);
    let slope = given.without_each(product, zeros, writer)?;
    let worth = indexed.gather(worth, writer)?;
    Ok((Some(of_data), Some(writer.function("Mul", &[worth, slope])?)))
}

/// Equal extremes share the gradient equally.
fn of_extremes(indexed: &Indexed, [data, updates, worth]: [ValueId; 3], result: ValueId, writer: &mut Writer) -> Result<Both> {
    let dtype = writer.fact(data)?.dtype();
    let own = writer.function("Equal", &[data, result])?;
    let there = indexed.gather(result, writer)?;
    let given = writer.function("Equal", &[updates, there])?;
    let (own_ones, given_ones) = (writer.counted(own, dtype)?, writer.counted(given, dtype)?);
    let count = indexed.scatter(Some(Combine::Add), own_ones, given_ones, writer)?;
    let share = writer.function("Div", &[worth, count])?;
    let of_data = writer.kept(own, share)?;
    let share = indexed.gather(share, writer)?;
    Ok((Some(of_data), Some(writer.kept(given, share)?)))
}
