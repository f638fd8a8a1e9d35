//! Softmax and its relatives, and the normalizations.

use super::{Row, rows};
use crate::error::{Error, Result};
use crate::export::onnx::context::Context;
use crate::export::onnx::form::{form, form_since};
use crate::ops::lrn::Lrn;
use crate::ops::norm::{BatchNormalization, LpNormalization, MeanVarianceNormalization, Normalization, Rows};
use crate::ops::softmax::{Normalization as Scale, Softmax};

pub(super) const ROWS: &[Row] = rows! {
    Softmax => |op, c| {
        let name = match op.normalization {
            Scale::Softmax => "Softmax",
            Scale::LogSoftmax => "LogSoftmax",
            Scale::Hardmax => "Hardmax",
        };
        c.emit(&form(name).int("axis", op.axis))
    },
    Normalization => |op, c| {
        let form = match op.rows {
            Rows::Layer { axis } => form("LayerNormalization").int("axis", axis),
            Rows::Rms { axis } => form_since("RMSNormalization", 23).int("axis", axis),
            Rows::Instance => form("InstanceNormalization"),
            Rows::Group { groups } => form("GroupNormalization").count("num_groups", groups),
        };
        c.emit(&form.float("epsilon", op.epsilon))
    },
    BatchNormalization => batch_normalization,
    LpNormalization => |op, c| c.emit(&form("LpNormalization").int("axis", op.axis).int("p", op.p)),
    MeanVarianceNormalization => |op, c| match op.axes.is_empty() {
        // No axes would be the usual ones.
        true => Err(Error::unsupported("ONNX's MeanVarianceNormalization goes over some axes")),
        false => c.emit(&form("MeanVarianceNormalization").ints("axes", &op.axes)),
    },
    Lrn => |op, c| {
        let form = form("LRN").float("alpha", op.alpha).float("beta", op.beta);
        c.emit(&form.float("bias", op.bias).count("size", op.size))
    },
};

fn batch_normalization(op: &BatchNormalization, c: &mut Context<'_, '_>) -> Result<()> {
    if op.training_mode && op.unbiased && (c.wants(1) || c.wants(2)) {
        return Err(Error::unsupported(
            "ONNX's running variance is the biased one; train::evaluation leaves statistics as they are",
        ));
    }
    let form = form("BatchNormalization").float("epsilon", op.epsilon).float("momentum", op.momentum as f32);
    c.emit(&form.flag("training_mode", op.training_mode))
}
