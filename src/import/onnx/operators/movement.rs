//! Operators that only move data: Reshape, Squeeze, Transpose, Slice, Split, Concat, Expand and their kin.

use super::{Row, row};
use crate::error::{Error, Result};
use crate::graph::Op;
use crate::import::onnx::context::Context;
use crate::ops::flow::arrange;
use crate::ops::pad::{PadMode, pad};
use crate::ops::transpose::{self, BlockOrder};
use crate::ops::{concat, expand, reshape, reverse_sequence, slice, triangle};
use std::sync::Arc;

pub(super) const ROWS: &[Row] = &[
    row("Identity", 1, 1..=1, 1, |c| c.emit(arrange::identity(), &c.inputs())),
    row("Flatten", 1, 1..=1, 1, |c| c.emit(reshape::flatten(c.int("axis", 1)?), &c.inputs())),
    row("Reshape", 1, 1..=1, 1, reshape_by_attribute).until(4),
    row("Reshape", 5, 2..=2, 1, |c| c.emit(reshape::reshape(c.flag("allowzero", false)?), &c.inputs())),
    row("Squeeze", 1, 1..=1, 1, |c| with_axes(c, reshape::squeeze)).until(12),
    row("Squeeze", 13, 1..=2, 1, |c| c.emit(reshape::squeeze(), &c.inputs())),
    row("Unsqueeze", 1, 1..=1, 1, unsqueeze_by_attribute).until(12),
    row("Unsqueeze", 13, 2..=2, 1, |c| c.emit(reshape::unsqueeze(), &c.inputs())),
    row("Transpose", 1, 1..=1, 1, |c| c.emit(transpose::transpose(c.ints("perm")?), &c.inputs())),
    row("DepthToSpace", 1, 1..=1, 1, |c| by_blocks(c, transpose::depth_to_space)),
    row("SpaceToDepth", 1, 1..=1, 1, |c| by_blocks(c, transpose::space_to_depth)),
    row("Slice", 1, 1..=1, 1, slice_by_attributes).until(9),
    row("Slice", 10, 3..=5, 1, |c| c.emit(slice::slice(), &c.inputs())),
    row("Split", 1, 1..=2, usize::MAX, split_by_attribute).until(1),
    row("Split", 2, 1..=1, usize::MAX, split_by_attribute).until(12),
    row("Split", 13, 1..=2, usize::MAX, split),
    row("Concat", 1, 1..=usize::MAX, 1, |c| c.emit(concat::concat(c.int("axis", 1)?), &c.inputs())).until(3),
    row("Concat", 4, 1..=usize::MAX, 1, concat_along),
    row("Expand", 8, 2..=2, 1, |c| c.emit(expand::expand(), &c.inputs())),
    row("Tile", 1, 3..=3, 1, tile_one_axis).until(5),
    row("Tile", 6, 2..=2, 1, |c| c.emit(expand::tile(), &c.inputs())),
    row("Pad", 1, 1..=1, 1, |c| pad_by_attributes(c, "paddings")).until(1),
    row("Pad", 2, 1..=1, 1, |c| pad_by_attributes(c, "pads")).until(10),
    row("Pad", 11, 2..=4, 1, |c| c.emit(pad(PadMode::from_name(c.string("mode", "constant")?)?), &c.inputs())),
    row("Trilu", 14, 1..=2, 1, |c| c.emit(triangle::trilu(c.flag("upper", true)?), &c.inputs())),
    row("ReverseSequence", 10, 2..=2, 1, |c| {
        c.emit(reverse_sequence::reverse_sequence(c.int("time_axis", 0)?, c.int("batch_axis", 1)?), &c.inputs())
    }),
];

fn reshape_by_attribute(c: &mut Context<'_, '_>) -> Result<()> {
    let shape = c.ints_as_input("shape")?;
    c.emit(reshape::reshape(false), &[c.optional(0), Some(shape)])
}

/// An operator whose optional attribute `axes` became input 1.
fn with_axes(c: &mut Context<'_, '_>, op: fn() -> Arc<dyn Op>) -> Result<()> {
    let axes = c.ints("axes")?.map(|axes| c.int_constant("axes", &axes)).transpose()?;
    c.emit(op(), &[c.optional(0), axes])
}

fn unsqueeze_by_attribute(c: &mut Context<'_, '_>) -> Result<()> {
    if !c.attributes.has("axes") {
        return Err(c.missing("axes"));
    }
    with_axes(c, reshape::unsqueeze)
}

/// Channels as blocks of neighbours, or back.
fn by_blocks(c: &mut Context<'_, '_>, op: fn(i64, BlockOrder) -> Arc<dyn Op>) -> Result<()> {
    let block = c.attributes.int("blocksize")?.ok_or_else(|| c.missing("blocksize"))?;
    c.emit(op(block, BlockOrder::from_mode(c.string("mode", "DCR")?)?), &c.inputs())
}

fn slice_by_attributes(c: &mut Context<'_, '_>) -> Result<()> {
    let starts = c.ints_as_input("starts")?;
    let ends = c.ints_as_input("ends")?;
    let axes = c.ints("axes")?.map(|axes| c.int_constant("axes", &axes)).transpose()?;
    c.emit(slice::slice(), &[c.optional(0), Some(starts), Some(ends), axes])
}

/// Version 1 has the sizes as input 1 or as attribute, versions 2 to 12 as attribute.
fn split_by_attribute(c: &mut Context<'_, '_>) -> Result<()> {
    let sizes = match c.ints("split")? {
        Some(sizes) => Some(c.int_constant("split", &sizes)?),
        None => c.optional(1),
    };
    c.emit(slice::split(c.int("axis", 0)?, c.outputs()), &[c.optional(0), sizes])
}

fn split(c: &mut Context<'_, '_>) -> Result<()> {
    let count = c.count("num_outputs", c.outputs())?;
    if count != c.outputs() {
        return Err(Error::invalid_model(format!("Split has num_outputs {count} and {} outputs", c.outputs())));
    }
    c.emit(slice::split(c.int("axis", 0)?, count), &c.inputs())
}

/// Version 1: `tiles` repeats along `axis`, both scalars in inputs.
fn tile_one_axis(c: &mut Context<'_, '_>) -> Result<()> {
    let known = |index: usize| c.known(index).and_then(|t| t.to_i64().first().copied());
    let (Some(tiles), Some(axis), Some(rank)) = (known(1), known(2), c.rank(c.input(0)?)) else {
        return Err(c.unsupported("the form before version 6 needs constant tiles and axis and an input of declared rank"));
    };
    let index = usize::try_from(axis)
        .ok()
        .filter(|i| *i < rank)
        .ok_or_else(|| Error::invalid_model(format!("axis {axis} is outside rank {rank}")))?;
    let repeats: Vec<i64> = (0..rank).map(|i| if i == index { tiles } else { 1 }).collect();
    let repeats = c.int_constant("repeats", &repeats)?;
    c.emit(expand::tile(), &[c.optional(0), Some(repeats)])
}

/// Before version 11 pads and constant were attributes, and the constant a float whatever the data.
fn pad_by_attributes(c: &mut Context<'_, '_>, name: &str) -> Result<()> {
    let mode = PadMode::from_name(c.string("mode", "constant")?)?;
    let pads = c.ints_as_input(name)?;
    let value = c.number_like("value", c.float("value", 0.0)?, c.input(0)?);
    c.emit(pad(mode), &[c.optional(0), Some(pads), Some(value)])
}

fn concat_along(c: &mut Context<'_, '_>) -> Result<()> {
    let axis = c.attributes.int("axis")?.ok_or_else(|| c.missing("axis"))?;
    c.emit(concat::concat(axis), &c.inputs())
}
