//! Operators that only move data.

use super::{Row, rows, whole};
use crate::error::Result;
use crate::export::onnx::context::Context;
use crate::export::onnx::form::{form, form_since};
use crate::ops::concat::Concat;
use crate::ops::expand::{Expand, Tile};
use crate::ops::pad::{Pad, PadMode};
use crate::ops::recompute::Checkpoint;
use crate::ops::reshape::{Flatten, Identity, Reshape, Squeeze, Unsqueeze};
use crate::ops::reverse_sequence::ReverseSequence;
use crate::ops::slice::{Slice, Split};
use crate::ops::transpose::{BlockOrder, DepthToSpace, MoveAxis, SpaceToDepth, Transpose};
use crate::ops::triangle::Trilu;

pub(super) const ROWS: &[Row] = rows! {
    Identity => |_, c| c.emit(&form("Identity")),
    Checkpoint => |_, c| c.emit(&form("Identity")),
    Flatten => |op, c| c.emit(&form("Flatten").int("axis", op.axis)),
    Reshape => |op, c| c.emit(&form("Reshape").flag("allowzero", op.allow_zero)),
    Squeeze => |_, c| c.emit(&form("Squeeze")),
    Unsqueeze => |_, c| c.emit(&form("Unsqueeze")),
    Transpose => |op, c| c.emit(&form("Transpose").ints("perm", op.permutation.as_deref().unwrap_or_default())),
    MoveAxis => move_axis,
    DepthToSpace => |op, c| {
        let mode = match op.order {
            BlockOrder::DepthFirst => "DCR",
            BlockOrder::ColumnFirst => "CRD",
        };
        c.emit(&form("DepthToSpace").int("blocksize", op.block).text("mode", mode))
    },
    SpaceToDepth => |op, c| c.emit(&match op.order {
        BlockOrder::DepthFirst => form("SpaceToDepth").int("blocksize", op.block),
        BlockOrder::ColumnFirst => form_since("SpaceToDepth", 28).int("blocksize", op.block).text("mode", "CRD"),
    }),
    Slice => |_, c| c.emit(&form("Slice")),
    Split => split,
    Concat => |op, c| {
        whole(op.views.is_empty())?;
        c.emit(&form("Concat").int("axis", op.axis))
    },
    Expand => |_, c| c.emit(&form("Expand")),
    Tile => |_, c| c.emit(&form("Tile")),
    Pad => |op, c| c.emit(&form("Pad").text("mode", match op.mode {
        PadMode::Constant => "constant",
        PadMode::Reflect => "reflect",
        PadMode::Edge => "edge",
        PadMode::Wrap => "wrap",
    })),
    Trilu => |op, c| c.emit(&form("Trilu").flag("upper", op.upper)),
    ReverseSequence => |op, c| {
        c.emit(&form("ReverseSequence").int("time_axis", op.time_axis).int("batch_axis", op.batch_axis))
    },
};

/// A Transpose, once the rank is known.
fn move_axis(op: &MoveAxis, c: &mut Context<'_, '_>) -> Result<()> {
    let rank = c.rank(0)?;
    let shape = crate::tensor::Shape::new(vec![1; rank]);
    let (from, to) = (shape.axis(op.from)?, shape.axis(op.to)?);
    let mut permutation: Vec<i64> = (0..rank as i64).collect();
    let axis = permutation.remove(from);
    permutation.insert(to, axis);
    c.emit(&form("Transpose").ints("perm", &permutation))
}

/// Outputs that nobody wants have names, since their number is the number of parts.
fn split(op: &Split, c: &mut Context<'_, '_>) -> Result<()> {
    let mut form = form("Split").int("axis", op.axis);
    if c.node.input(1).is_none() {
        form = form.count("num_outputs", op.outputs);
    }
    let inputs = c.inputs();
    let mut outputs = c.outputs();
    outputs.resize(op.outputs, String::new());
    for output in &mut outputs {
        if output.is_empty() {
            *output = c.fresh("part");
        }
    }
    c.write(&form, inputs, outputs);
    Ok(())
}
