//! Dropout as it stands in a network that learns; `train::evaluation` leaves none.

use super::{Row, rows};
use crate::error::Result;
use crate::export::onnx::context::Context;
use crate::export::onnx::form::form;
use crate::ops::dropout::Dropout;
use crate::tensor::Tensor;

pub(super) const ROWS: &[Row] = rows! {
    Dropout => dropout,
};

/// ONNX draws its numbers elsewhere: which elements are dropped is not said.
fn dropout(op: &Dropout, c: &mut Context<'_, '_>) -> Result<()> {
    let mut ratio = c.optional(2);
    if ratio.is_empty() {
        ratio = c.constant("ratio", Tensor::scalar(op.ratio as f32));
    }
    let mut training = c.optional(3);
    if training.is_empty() {
        training = c.constant("training_mode", Tensor::scalar(true));
    }
    let inputs = vec![c.input(0)?, ratio, training];
    c.emit_over(&form("Dropout"), inputs)
}
