//! Axes in another order: Transpose, and DepthToSpace and SpaceToDepth, which are a split of axes, a transpose and a
//! join.

use super::Registration;
use super::movement::{Moved, Movement};
use crate::error::{Error, Result};
use crate::graph::{Fact, Op, required};
use crate::tensor::{Shape, View};
use std::sync::Arc;

/// The operators of this file.
pub static REGISTRATION: Registration =
    Registration { operators: &["Transpose", "MoveAxis", "DepthToSpace", "SpaceToDepth"], shaders: &[] };

/// ONNX Transpose: axis `k` of the output is axis `permutation[k]` of the input.
#[derive(Clone, Debug, PartialEq)]
pub struct Transpose {
    /// The attribute `perm`; `None` reverses the axes.
    pub permutation: Option<Vec<i64>>,
}

/// Transpose; `None` reverses the axes.
pub fn transpose(permutation: Option<Vec<i64>>) -> Arc<dyn Op> {
    Arc::new(Transpose { permutation })
}

impl Movement for Transpose {
    const NAME: &'static str = "Transpose";

    crate::attributes!(permutation);

    fn moves(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Moved>> {
        let data = required(Self::NAME, inputs, 0)?;
        let rank = data.shape().rank();
        let permutation = match &self.permutation {
            None => (0..rank).rev().collect(),
            Some(axes) => axes.iter().map(|a| data.shape().axis(*a)).collect::<Result<Vec<_>>>()?,
        };
        let mut sorted = permutation.clone();
        sorted.sort_unstable();
        if sorted != (0..rank).collect::<Vec<_>>() {
            return Err(Error::invalid_model(format!("expected a permutation of {rank} axes, found {:?}", self.permutation)));
        }
        Ok(vec![Moved::new(View::contiguous(data.shape()).transpose(&permutation))])
    }
}

/// One axis moved to another place; the others keep their order.
#[derive(Clone, Debug, PartialEq)]
pub struct MoveAxis {
    /// Which axis of the input.
    pub from: i64,
    /// Where it stands in the output.
    pub to: i64,
}

/// Axis `from` of the input as axis `to` of the output; the others keep their order.
pub fn move_axis(from: i64, to: i64) -> Arc<dyn Op> {
    Arc::new(MoveAxis { from, to })
}

impl Movement for MoveAxis {
    const NAME: &'static str = "MoveAxis";

    crate::attributes!(from, to);

    fn moves(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Moved>> {
        let shape = required(Self::NAME, inputs, 0)?.shape();
        let (from, to) = (shape.axis(self.from)?, shape.axis(self.to)?);
        let mut permutation: Vec<usize> = (0..shape.rank()).filter(|axis| *axis != from).collect();
        permutation.insert(to, from);
        Ok(vec![Moved::new(View::contiguous(shape).transpose(&permutation))])
    }
}

/// The order in which the channels of a block are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockOrder {
    /// Depth, column, row: the block's position varies slower than the channel.
    DepthFirst,
    /// Column, row, depth: the channel varies slower than the block's position.
    ColumnFirst,
}

crate::attributes!(
    enum BlockOrder {
        DepthFirst,
        ColumnFirst,
    }
);

impl BlockOrder {
    /// The order that the ONNX attribute `mode` names.
    ///
    /// # Errors
    /// [`InvalidModel`](crate::ErrorKind::InvalidModel) when it is neither `DCR` nor `CRD`.
    pub fn from_mode(mode: &str) -> Result<Self> {
        match mode {
            "DCR" => Ok(BlockOrder::DepthFirst),
            "CRD" => Ok(BlockOrder::ColumnFirst),
            _ => Err(Error::invalid_model(format!("expected mode DCR or CRD, found `{mode}`"))),
        }
    }
}

/// ONNX DepthToSpace: blocks of channels become blocks of pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct DepthToSpace {
    /// Side of a block.
    pub block: i64,
    /// Layout of the channels.
    pub order: BlockOrder,
}

/// ONNX SpaceToDepth: blocks of pixels become blocks of channels.
#[derive(Clone, Debug, PartialEq)]
pub struct SpaceToDepth {
    /// Side of a block.
    pub block: i64,
    /// Layout of the channels.
    pub order: BlockOrder,
}

/// DepthToSpace with blocks of `block` by `block`.
pub fn depth_to_space(block: i64, order: BlockOrder) -> Arc<dyn Op> {
    Arc::new(DepthToSpace { block, order })
}

/// SpaceToDepth with blocks of `block` by `block`.
pub fn space_to_depth(block: i64, order: BlockOrder) -> Arc<dyn Op> {
    Arc::new(SpaceToDepth { block, order })
}

/// Batch, channels, height, width and the block's side, after a check.
fn image(op: &'static str, inputs: &[Option<&Fact>], block: i64) -> Result<([usize; 4], usize)> {
    let data = required(op, inputs, 0)?;
    let dims = <[usize; 4]>::try_from(data.shape().dims())
        .map_err(|_| Error::invalid_model(format!("{op} expects a tensor of rank 4, found {}", data.ty)))?;
    match usize::try_from(block) {
        Ok(block) if block > 0 => Ok((dims, block)),
        _ => Err(Error::invalid_model(format!("{op} expects a positive block size, found {block}"))),
    }
}

/// A contiguous tensor split into `split` axes, which are reordered and joined to `shape`.
fn rearranged(split: [usize; 6], permutation: [usize; 6], shape: [usize; 4]) -> Vec<Moved> {
    let view = View::contiguous(&Shape::from(split)).transpose(&permutation);
    vec![Moved { view, shape: shape.into() }]
}

impl Movement for DepthToSpace {
    const NAME: &'static str = "DepthToSpace";

    crate::attributes!(block, order);

    fn moves(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Moved>> {
        let ([n, c, h, w], b) = image(Self::NAME, inputs, self.block)?;
        let depth = b.checked_mul(b).filter(|square| c % square == 0).map(|square| c / square);
        let depth = depth.ok_or_else(|| Error::invalid_model(format!("{c} channels are no multiple of blocks of {b} by {b}")))?;
        let shape = [n, depth, h.saturating_mul(b), w.saturating_mul(b)];
        Ok(match self.order {
            BlockOrder::DepthFirst => rearranged([n, b, b, depth, h, w], [0, 3, 4, 1, 5, 2], shape),
            BlockOrder::ColumnFirst => rearranged([n, depth, b, b, h, w], [0, 1, 4, 2, 5, 3], shape),
        })
    }
}

impl Movement for SpaceToDepth {
    const NAME: &'static str = "SpaceToDepth";

    crate::attributes!(block, order);

    fn moves(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Moved>> {
        let ([n, c, h, w], b) = image(Self::NAME, inputs, self.block)?;
        if h % b != 0 || w % b != 0 {
            return Err(Error::invalid_model(format!("an image of {h} by {w} is no multiple of blocks of {b} by {b}")));
        }
        let shape = [n, c.saturating_mul(b).saturating_mul(b), h / b, w / b];
        let permutation = match self.order {
            BlockOrder::DepthFirst => [0, 3, 5, 1, 2, 4],
            BlockOrder::ColumnFirst => [0, 1, 3, 5, 2, 4],
        };
        Ok(rearranged([n, c, h / b, b, w / b, b], permutation, shape))
    }
}
