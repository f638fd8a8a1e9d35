//! Operators that make tensors from shapes and attributes.

use super::{Row, rows};
use crate::export::onnx::form::form;
use crate::export::onnx::proto::data_type;
use crate::ops::shape::{ConstantOfShape, EyeLike, Range, Shape, Size};

pub(super) const ROWS: &[Row] = rows! {
    Shape => |op, c| c.emit(&form("Shape").int("start", op.start).maybe("end", op.end)),
    Size => |_, c| c.emit(&form("Size")),
    ConstantOfShape => |op, c| {
        // ONNX has it as a vector.
        c.emit(&form("ConstantOfShape").tensor("value", op.value.reshape([1])?))
    },
    Range => |_, c| c.emit(&form("Range")),
    EyeLike => |op, c| c.emit(&form("EyeLike").maybe("dtype", op.dtype.map(data_type)).int("k", op.k)),
};
