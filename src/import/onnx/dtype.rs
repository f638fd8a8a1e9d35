//! `TensorProto.DataType` and declared types.

use super::proto::{DimensionValue, TensorTypeProto, TypeProto, TypeValue, ValueInfoProto};
use crate::error::{Error, Result};
use crate::graph::{Dim, Form};
use crate::tensor::{DType, MAX_ELEMENTS, MAX_RANK};

/// The dtype of a `TensorProto.DataType`.
pub(super) fn dtype(data_type: i32) -> Result<DType> {
    let other = match data_type {
        1 => return Ok(DType::F32),
        2 => return Ok(DType::U8),
        3 => return Ok(DType::I8),
        4 => return Ok(DType::U16),
        5 => return Ok(DType::I16),
        6 => return Ok(DType::I32),
        7 => return Ok(DType::I64),
        9 => return Ok(DType::Bool),
        10 => return Ok(DType::F16),
        11 => return Ok(DType::F64),
        12 => return Ok(DType::U32),
        13 => return Ok(DType::U64),
        16 => return Ok(DType::BF16),
        8 => "string",
        14 => "complex64",
        15 => "complex128",
        17 => "float8e4m3fn",
        18 => "float8e4m3fnuz",
        19 => "float8e5m2",
        20 => "float8e5m2fnuz",
        21 => "uint4",
        22 => "int4",
        23 => "float4e2m1",
        24 => "float8e8m0",
        25 => "uint2",
        26 => "int2",
        27 => "float6e2m3",
        28 => "float6e3m2",
        _ => return Err(Error::invalid_model(format!("data type {data_type} does not exist: expected 1 to 28"))),
    };
    Err(Error::unsupported(format!("elements of type {other} are not implemented")))
}

/// Form, element type and extents of a declared value; extents are `None` when the rank is open.
#[derive(Clone, Debug)]
pub(super) struct Declared {
    pub(super) form: Form,
    pub(super) dtype: DType,
    pub(super) dims: Option<Vec<Dim>>,
}

/// The form of a declared type, and that of its tensors; what else it is, where that is not implemented.
pub(super) fn form(declared: &TypeProto) -> Result<(Form, Option<&TensorTypeProto>), &'static str> {
    let mut optional = false;
    let mut value = declared.value.as_ref();
    if let Some(TypeValue::Optional(element)) = value {
        optional = true;
        value = element.elem_type.as_ref().and_then(|ty| ty.value.as_ref());
    }
    let (plain, sequence) = if optional { (Form::OptionalTensor, Form::OptionalSequence) } else { (Form::Tensor, Form::Sequence) };
    match value {
        None => Ok((plain, None)),
        Some(TypeValue::Tensor(tensor)) => Ok((plain, Some(tensor))),
        Some(TypeValue::Sequence(element)) => match element.elem_type.as_ref().and_then(|ty| ty.value.as_ref()) {
            None => Ok((sequence, None)),
            Some(TypeValue::Tensor(tensor)) => Ok((sequence, Some(tensor))),
            Some(_) => Err("a sequence of other things than tensors"),
        },
        Some(TypeValue::Optional(_)) => Err("an optional of an optional"),
        Some(TypeValue::Map(_)) => Err("a map"),
        Some(TypeValue::SparseTensor(_)) => Err("a sparse tensor"),
        Some(TypeValue::Opaque(_)) => Err("opaque"),
    }
}

/// The type that a graph input declares.
pub(super) fn declared(info: &ValueInfoProto) -> Result<Declared> {
    let name = &info.name;
    let within = |e: Error| Error::new(e.kind(), format!("value `{name}`: {}", e.message()));
    let missing = || Error::invalid_model(format!("value `{name}` declares no type: expected a tensor type"));
    let (form, tensor) = form(info.r#type.as_ref().ok_or_else(missing)?).map_err(|what| {
        Error::unsupported(format!("value `{name}` is {what}; only tensors, and sequences and optionals of them, are implemented"))
    })?;
    let tensor = tensor.ok_or_else(missing)?;
    let dtype = dtype(tensor.elem_type).map_err(within)?;
    let Some(shape) = &tensor.shape else { return Ok(Declared { form, dtype, dims: None }) };
    if shape.dim.len() > MAX_RANK {
        return Err(Error::limit(format!("value `{name}` has rank {}: expected at most {MAX_RANK}", shape.dim.len())));
    }
    let mut elements = 1usize;
    let mut dims = Vec::new();
    for dim in &shape.dim {
        dims.push(match &dim.value {
            Some(DimensionValue::DimValue(n)) => {
                let n = usize::try_from(*n)
                    .map_err(|_| Error::invalid_model(format!("value `{name}` declares an extent of {n}: expected 0 or more")))?;
                elements = elements.saturating_mul(n.max(1));
                Dim::Known(n)
            }
            Some(DimensionValue::DimParam(symbol)) if !symbol.is_empty() => Dim::Named(symbol.clone()),
            _ => Dim::Unknown,
        });
    }
    if elements > MAX_ELEMENTS {
        return Err(Error::limit(format!("value `{name}` declares {elements} elements or more: expected at most {MAX_ELEMENTS}")));
    }
    Ok(Declared { form, dtype, dims: Some(dims) })
}
