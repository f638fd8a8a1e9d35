//! The export table: a row for every operator that ONNX has a form of. A row turns a node of the graph into nodes of the file.

mod attention;
mod creation;
mod dropout;
mod elementwise;
mod image;
mod indexing;
mod linear;
mod loss;
mod movement;
mod normalization;
mod quantization;
mod recurrent;
mod reduction;
mod sequence;
mod window;

use super::context::Context;
use super::row::{Row, rows, whole};
use crate::error::Result;
use crate::graph::Op;

/// The rows of each family.
const FAMILIES: &[&[Row]] = &[
    linear::ROWS,
    window::ROWS,
    image::ROWS,
    attention::ROWS,
    recurrent::ROWS,
    normalization::ROWS,
    reduction::ROWS,
    indexing::ROWS,
    movement::ROWS,
    creation::ROWS,
    elementwise::ROWS,
    dropout::ROWS,
    quantization::ROWS,
    loss::ROWS,
    sequence::ROWS,
];

/// Writes a node; `None` where the table has no row of its operator.
pub(super) fn write(op: &dyn Op, context: &mut Context<'_, '_>) -> Option<Result<()>> {
    FAMILIES.iter().flat_map(|rows| *rows).find_map(|row| row(op, context))
}
