//! The elements of a tensor repeated: Expand and Tile.

use super::Registration;
use super::movement::{Moved, Movement};
use super::shared::known;
use crate::error::{Error, Result};
use crate::graph::{Fact, Op, required};
use crate::tensor::{Shape, View, broadcast};
use std::sync::Arc;

/// The operators of this file.
pub static REGISTRATION: Registration = Registration { operators: &["Expand", "Tile"], shaders: &[] };

/// Extents read from a tensor.
fn extents(op: &'static str, values: &[i64]) -> Result<Vec<usize>> {
    let extent = |n: &i64| {
        usize::try_from(*n).map_err(|_| Error::invalid_model(format!("{op} expects no negative number, found {values:?}")))
    };
    values.iter().map(extent).collect()
}

/// ONNX Expand: broadcast to the shape in input 1; an extent of 1 there keeps the input's.
#[derive(Clone, Debug, PartialEq)]
pub struct Expand;

/// Broadcast to the shape in input 1.
pub fn expand() -> Arc<dyn Op> {
    Arc::new(Expand)
}

impl Movement for Expand {
    const NAME: &'static str = "Expand";

    crate::attributes!();

    fn moves(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Moved>> {
        let shape = required(Self::NAME, inputs, 0)?.shape();
        let wanted = Shape::from(extents(Self::NAME, &known(Self::NAME, inputs, 1)?)?);
        let shape_out = broadcast([shape, &wanted])?;
        let view = View::contiguous(shape).broadcast(&shape_out);
        Ok(vec![Moved::new(view.ok_or_else(|| Error::internal(format!("{shape} does not broadcast to {shape_out}")))?)])
    }
}

/// ONNX Tile: input 1 says how often each axis is repeated.
#[derive(Clone, Debug, PartialEq)]
pub struct Tile;

/// Repeat each axis as often as input 1 says.
pub fn tile() -> Arc<dyn Op> {
    Arc::new(Tile)
}

impl Movement for Tile {
    const NAME: &'static str = "Tile";

    crate::attributes!();

    fn moves(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Moved>> {
        let shape = required(Self::NAME, inputs, 0)?.shape();
        let repeats = extents(Self::NAME, &known(Self::NAME, inputs, 1)?)?;
        if repeats.len() != shape.rank() {
            return Err(Error::invalid_model(format!(
                "expected one number of repeats for each axis of {shape}, found {repeats:?}"
            )));
        }
        // Each axis is walked by two: how often it is repeated (which moves nothing), and itself.
        let pairs: Vec<usize> = repeats.iter().zip(shape.iter()).flat_map(|(r, d)| [*r, *d]).collect();
        let strides = View::contiguous(shape).strides.into_iter().flat_map(|s| [0, s]).collect();
        let view = View { shape: pairs.into(), strides, offset: 0 };
        let shape: Vec<usize> = repeats.iter().zip(shape.iter()).map(|(r, d)| r.saturating_mul(*d)).collect();
        Ok(vec![Moved { view, shape: shape.into() }])
    }
}
