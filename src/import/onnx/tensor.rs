//! `TensorProto` to [`Tensor`].

use super::dtype::dtype;
use super::external::Folder;
use super::proto::{OptionalProto, SequenceProto, TensorProto};
use crate::error::{Error, Result};
use crate::graph::{Form, Structure};
use crate::tensor::{DType, Element, Shape, Tensor, TensorType};
use half::{bf16, f16};
use prost::Message;

/// Name and contents of a serialized `TensorProto`, as the ONNX test layout keeps inputs and outputs
/// (`test_data_set_0/input_0.pb`).
///
/// # Errors
/// [`InvalidModel`](crate::ErrorKind::InvalidModel) when the bytes are no `TensorProto`,
/// [`Unsupported`](crate::ErrorKind::Unsupported) when its element type is not implemented.
pub fn tensor_from_bytes(bytes: &[u8]) -> Result<(String, Tensor)> {
    let proto = TensorProto::decode(bytes).map_err(|e| {
        Error::invalid_model(format!("expected a TensorProto, found {} bytes that do not decode as one", bytes.len())).caused_by(e)
    })?;
    let tensor = tensor(&proto, &mut Folder::new(None))?;
    Ok((proto.name, tensor))
}

/// Name and contents of a serialized `TensorProto`, `SequenceProto` or `OptionalProto`: which of them, the form of the value says.
///
/// # Errors
/// As [`tensor_from_bytes`].
pub fn structure_from_bytes(bytes: &[u8], form: Form) -> Result<(String, Structure<Tensor>)> {
    let wrong = |what: &str, e| {
        Error::invalid_model(format!("expected {what}, found {} bytes that do not decode as one", bytes.len())).caused_by(e)
    };
    let list = |proto: &SequenceProto| -> Result<Structure<Tensor>> {
        if !matches!(proto.elem_type, 0 | 1) {
            return Err(Error::unsupported(format!("sequence `{}` holds other things than tensors", proto.name)));
        }
        let mut folder = Folder::new(None);
        Ok(Structure::Sequence(proto.tensor_values.iter().map(|proto| tensor(proto, &mut folder)).collect::<Result<_>>()?))
    };
    match form {
        Form::Tensor => tensor_from_bytes(bytes).map(|(name, tensor)| (name, Structure::Tensor(tensor))),
        Form::Sequence => {
            let proto = SequenceProto::decode(bytes).map_err(|e| wrong("a SequenceProto", e))?;
            Ok((proto.name.clone(), list(&proto)?))
        }
        Form::OptionalTensor | Form::OptionalSequence => {
            let proto = OptionalProto::decode(bytes).map_err(|e| wrong("an OptionalProto", e))?;
            let structure = match (&proto.tensor_value, &proto.sequence_value) {
                (Some(value), _) => Structure::Tensor(tensor(value, &mut Folder::new(None))?),
                (None, Some(value)) => list(value)?,
                (None, None) => Structure::Absent,
            };
            Ok((proto.name, structure))
        }
    }
}

/// The contents of a `TensorProto`.
pub(super) fn tensor(proto: &TensorProto, folder: &mut Folder) -> Result<Tensor> {
    convert(proto, folder).map_err(|e| Error::new(e.kind(), format!("tensor `{}`: {e}", proto.name)))
}

fn convert(proto: &TensorProto, folder: &mut Folder) -> Result<Tensor> {
    let ty = TensorType::new(dtype(proto.data_type)?, shape(&proto.dims)?).checked()?;
    if proto.segment.is_some() {
        return Err(Error::unsupported("a tensor stored in segments is not implemented"));
    }
    match proto.data_location {
        0 => {}
        1 => return from_little_endian(&ty, folder.read(&proto.external_data, bytes_of(&ty)?)?),
        other => {
            return Err(Error::invalid_model(format!("data location {other} does not exist: expected 0 (here) or 1 (external)")));
        }
    }
    if let Some(raw) = &proto.raw_data {
        return from_little_endian(&ty, raw);
    }
    let found = |count: usize, field: &str| match count == ty.elements() {
        true => Ok(()),
        false => Err(Error::invalid_model(format!("expected {} elements for type {ty}, found {count} in {field}", ty.elements()))),
    };
    match ty.dtype {
        DType::F32 => found(proto.float_data.len(), "float_data").and_then(|()| pack(&ty, &proto.float_data)),
        DType::F64 => found(proto.double_data.len(), "double_data").and_then(|()| pack(&ty, &proto.double_data)),
        DType::I64 => found(proto.int64_data.len(), "int64_data").and_then(|()| pack(&ty, &proto.int64_data)),
        DType::U64 => found(proto.uint64_data.len(), "uint64_data").and_then(|()| pack(&ty, &proto.uint64_data)),
        DType::U32 => {
            found(proto.uint64_data.len(), "uint64_data").and_then(|()| pack(&ty, &narrow::<_, u32>(&proto.uint64_data)?))
        }
        _ => {
            found(proto.int32_data.len(), "int32_data")?;
            let data = &proto.int32_data;
            match ty.dtype {
                DType::F16 => pack(&ty, &narrow(data)?.into_iter().map(f16::from_bits).collect::<Vec<_>>()),
                DType::BF16 => pack(&ty, &narrow(data)?.into_iter().map(bf16::from_bits).collect::<Vec<_>>()),
                DType::I8 => pack(&ty, &narrow::<_, i8>(data)?),
                DType::I16 => pack(&ty, &narrow::<_, i16>(data)?),
                DType::U8 => pack(&ty, &narrow::<_, u8>(data)?),
                DType::U16 => pack(&ty, &narrow::<_, u16>(data)?),
                DType::Bool => pack(&ty, &data.iter().map(|x| *x != 0).collect::<Vec<_>>()),
                _ => pack(&ty, data),
            }
        }
    }
}

/// Extents of a stored tensor.
fn shape(dims: &[i64]) -> Result<Shape> {
    let extent = |d: &i64| usize::try_from(*d).map_err(|_| Error::invalid_model(format!("an extent is {d}: expected 0 or more")));
    Ok(dims.iter().map(extent).collect::<Result<Vec<_>>>()?.into())
}

fn bytes_of(ty: &TensorType) -> Result<usize> {
    ty.elements().checked_mul(ty.dtype.size()).ok_or_else(|| Error::limit(format!("a tensor of type {ty} is too large")))
}

fn narrow<T: Copy + std::fmt::Display, U: TryFrom<T>>(data: &[T]) -> Result<Vec<U>> {
    data.iter()
        .map(|x| U::try_from(*x).map_err(|_| Error::invalid_model(format!("element {x} is outside the range of the element type"))))
        .collect()
}

fn pack<T: Element>(ty: &TensorType, data: &[T]) -> Result<Tensor> {
    Tensor::from_bytes(ty.clone(), T::to_bytes(data)).map_err(|e| Error::invalid_model(e.message()))
}

fn from_little_endian(ty: &TensorType, bytes: &[u8]) -> Result<Tensor> {
    if cfg!(target_endian = "big") && bytes.len() == bytes_of(ty)? {
        let swapped: Vec<u8> = bytes.chunks(ty.dtype.size()).flat_map(|element| element.iter().rev().copied()).collect();
        return Tensor::from_bytes(ty.clone(), &swapped).map_err(|e| Error::invalid_model(e.message()));
    }
    Tensor::from_bytes(ty.clone(), bytes).map_err(|e| Error::invalid_model(e.message()))
}
