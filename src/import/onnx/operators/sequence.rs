//! Sequences and optionals of tensors.

use super::{Row, row};
use crate::error::{Error, Result};
use crate::import::onnx::context::Context;
use crate::ops::flow::arrange::{Arrangement, arrange};
use crate::ops::flow::sequence;

pub(super) const ROWS: &[Row] = &[
    row("SequenceConstruct", 11, 1..=usize::MAX, 1, |c| c.emit(arrange(Arrangement::SequenceConstruct), &c.inputs())),
    row("SequenceEmpty", 11, 0..=0, 1, empty),
    row("SequenceInsert", 11, 2..=3, 1, |c| c.emit(arrange(Arrangement::SequenceInsert), &c.inputs())),
    row("SequenceErase", 11, 1..=2, 1, |c| c.emit(arrange(Arrangement::SequenceErase), &c.inputs())),
    row("SequenceAt", 11, 2..=2, 1, |c| c.emit(arrange(Arrangement::SequenceAt), &c.inputs())),
    row("SequenceLength", 11, 1..=1, 1, |c| c.emit(arrange(Arrangement::SequenceLength), &c.inputs())),
    row("SplitToSequence", 11, 1..=2, 1, |c| {
        c.emit(sequence::split_to_sequence(c.int("axis", 0)?, c.flag("keepdims", true)?), &c.inputs())
    }),
    row("ConcatFromSequence", 11, 1..=1, 1, concat),
    row("Optional", 15, 0..=1, 1, optional),
    row("OptionalHasElement", 15, 0..=1, 1, |c| c.emit(arrange(Arrangement::OptionalHasElement), &c.inputs())),
    row("OptionalGetElement", 15, 1..=1, 1, |c| c.emit(arrange(Arrangement::OptionalGetElement), &c.inputs())),
];

fn empty(c: &mut Context<'_, '_>) -> Result<()> {
    // A sequence of no tensor takes tensors of any element type, but one that is not implemented is refused here.
    c.attributes.dtype("dtype")?;
    c.emit(arrange(Arrangement::SequenceEmpty), &[])
}

fn concat(c: &mut Context<'_, '_>) -> Result<()> {
    let axis = c.attributes.int("axis")?.ok_or_else(|| c.missing("axis"))?;
    c.emit(sequence::concat_from_sequence(axis, c.flag("new_axis", false)?), &c.inputs())
}

fn optional(c: &mut Context<'_, '_>) -> Result<()> {
    if c.optional(0).is_none() && !c.attributes.has("type") {
        return Err(Error::invalid_model("Optional needs an element, or attribute `type`, and has neither"));
    }
    c.emit(arrange(Arrangement::Optional), &c.inputs())
}
