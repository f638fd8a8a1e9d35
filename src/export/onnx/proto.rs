//! The messages of `onnx.proto3` (<https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3>) that are written, and their fields.

use super::form::{NodeForm, Value};
use super::wire::Message;
use crate::graph::{Dim, Form};
use crate::tensor::{DType, Tensor};

/// Fields of `ModelProto`.
pub(super) mod model {
    pub(in crate::export::onnx) const IR_VERSION: u64 = 1;
    pub(in crate::export::onnx) const PRODUCER_NAME: u64 = 2;
    pub(in crate::export::onnx) const PRODUCER_VERSION: u64 = 3;
    pub(in crate::export::onnx) const GRAPH: u64 = 7;
    pub(in crate::export::onnx) const OPSET_IMPORT: u64 = 8;
    pub(in crate::export::onnx) const METADATA: u64 = 14;
}

/// Fields of `GraphProto`.
pub(super) mod graph {
    pub(in crate::export::onnx) const NODE: u64 = 1;
    pub(in crate::export::onnx) const NAME: u64 = 2;
    pub(in crate::export::onnx) const INITIALIZER: u64 = 5;
    pub(in crate::export::onnx) const INPUT: u64 = 11;
    pub(in crate::export::onnx) const OUTPUT: u64 = 12;
    pub(in crate::export::onnx) const VALUE_INFO: u64 = 13;
}

/// What is known of the type of a value.
#[derive(Clone, Debug)]
pub(super) struct ValueType {
    pub(super) form: Form,
    pub(super) dtype: DType,
    /// `None` when the rank is open.
    pub(super) dims: Option<Vec<Dim>>,
}

/// The `TensorProto.DataType` of a dtype.
pub(super) fn data_type(dtype: DType) -> i64 {
    match dtype {
        DType::F32 => 1,
        DType::U8 => 2,
        DType::I8 => 3,
        DType::U16 => 4,
        DType::I16 => 5,
        DType::I32 => 6,
        DType::I64 => 7,
        DType::Bool => 9,
        DType::F16 => 10,
        DType::F64 => 11,
        DType::U32 => 12,
        DType::U64 => 13,
        DType::BF16 => 16,
    }
}

/// An `OperatorSetIdProto`.
pub(super) fn operator_set(domain: &str, version: i64) -> Message {
    let mut message = Message::default();
    message.text(1, domain);
    message.int(2, version);
    message
}

/// A `StringStringEntryProto`.
pub(super) fn entry(key: &str, value: &str) -> Message {
    let mut message = Message::default();
    message.text(1, key);
    message.text(2, value);
    message
}

/// A `ValueInfoProto`; a value of which nothing is known has a name alone.
pub(super) fn value_info(name: &str, ty: Option<&ValueType>) -> Message {
    let mut message = Message::default();
    message.text(1, name);
    if let Some(ty) = ty {
        message.message(2, &type_proto(ty));
    }
    message
}

fn type_proto(ty: &ValueType) -> Message {
    let mut tensor = Message::default();
    tensor.int(1, data_type(ty.dtype));
    if let Some(dims) = &ty.dims {
        let mut shape = Message::default();
        dims.iter().for_each(|dim| shape.message(1, &dimension(dim)));
        tensor.message(2, &shape);
    }
    let mut message = Message::default();
    message.message(1, &tensor);
    let wrapped = |inner: &Message, field: u64| {
        let (mut element, mut outer) = (Message::default(), Message::default());
        element.message(1, inner);
        outer.message(field, &element);
        outer
    };
    if ty.form.is_sequence() {
        message = wrapped(&message, 4);
    }
    if ty.form.is_optional() {
        message = wrapped(&message, 9);
    }
    message
}

fn dimension(dim: &Dim) -> Message {
    let mut message = Message::default();
    match dim {
        Dim::Known(extent) => message.int(1, *extent as i64),
        Dim::Named(name) => message.text(2, name),
        Dim::Unknown => {}
    }
    message
}

/// Puts a `TensorProto` into a field of a message.
pub(super) fn put_tensor(message: &mut Message, field: u64, name: &str, tensor: &Tensor) {
    let mut head = Message::default();
    let dims: Vec<i64> = tensor.shape().iter().map(|extent| *extent as i64).collect();
    if !dims.is_empty() {
        head.ints(1, &dims);
    }
    head.int(2, data_type(tensor.dtype()));
    if !name.is_empty() {
        head.text(8, name);
    }
    if cfg!(target_endian = "big") {
        let swapped: Vec<u8> = tensor.bytes().chunks(tensor.dtype().size()).flat_map(|one| one.iter().rev().copied()).collect();
        return message.message_ending(field, &head, 9, &swapped);
    }
    message.message_ending(field, &head, 9, tensor.bytes());
}

/// A `NodeProto`.
pub(super) fn node(name: &str, form: &NodeForm, inputs: &[String], outputs: &[String]) -> Message {
    let mut message = Message::default();
    inputs.iter().for_each(|input| message.text(1, input));
    outputs.iter().for_each(|output| message.text(2, output));
    message.text(3, name);
    message.text(4, form.operator);
    form.attributes.iter().for_each(|(name, value)| message.message(5, &attribute(name, value)));
    if !form.domain.is_empty() {
        message.text(7, form.domain);
    }
    message
}

/// An `AttributeProto`.
fn attribute(name: &str, value: &Value) -> Message {
    let mut message = Message::default();
    message.text(1, name);
    let kind = match value {
        Value::Float(number) => {
            message.float(2, *number);
            1
        }
        Value::Int(number) => {
            message.int(3, *number);
            2
        }
        Value::Text(text) => {
            message.text(4, text);
            3
        }
        Value::Tensor(tensor) => {
            put_tensor(&mut message, 5, "", tensor);
            4
        }
        Value::Graph(graph) => {
            message.message(6, graph);
            5
        }
        Value::Floats(numbers) => {
            message.floats(7, numbers);
            6
        }
        Value::Ints(numbers) => {
            message.ints(8, numbers);
            7
        }
        Value::Texts(texts) => {
            texts.iter().for_each(|text| message.text(9, text));
            8
        }
    };
    message.int(20, kind);
    message
}
