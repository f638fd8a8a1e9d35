//! Quantization to 8 and 16 bits.

use super::{Row, rows};
use crate::export::onnx::form::{form, form_since};
use crate::export::onnx::proto::data_type;
use crate::ops::dequantize::DequantizeLinear;
use crate::ops::quantize::QuantizeLinear;

pub(super) const ROWS: &[Row] = rows! {
    QuantizeLinear => |op, c| {
        c.emit(&form("QuantizeLinear").int("axis", op.axis).maybe("output_dtype", op.dtype.map(data_type)))
    },
    DequantizeLinear => |op, c| c.emit(&match op.dtype {
        None => form("DequantizeLinear").int("axis", op.axis),
        Some(dtype) => form_since("DequantizeLinear", 23).int("axis", op.axis).int("output_dtype", data_type(dtype)),
    }),
};
