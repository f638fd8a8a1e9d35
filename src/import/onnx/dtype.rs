//! `TensorProto.DataType` and declared types.

use super::proto::{DimensionValue, TypeProto, TypeValue, ValueInfoProto};
use crate::error::{Error, Result};
use crate::graph::Dim;
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

/// Element type and extents of a declared value; extents are `None` when the rank is open.
#[derive(Clone, Debug)]
pub(super) struct Declared {
    pub(super) dtype: DType,
    pub(super) dims: Option<Vec<Dim>>,
}

/// The type that a graph input declares.
pub(super) fn declared(info: &ValueInfoProto) -> Result<Declared> {
    let name = &info.name;
    let within = |e: Error| Error::new(e.kind(), format!("value `{name}`: {}", e.message()));
    let missing = || Error::invalid_model(format!("value `{name}` declares no type: expected a tensor type"));
    let tensor = match info.r#type.as_ref().and_then(|TypeProto { value }| value.as_ref()).ok_or_else(missing)? {
        TypeValue::Tensor(tensor) => tensor,
        TypeValue::Sequence(_) => {
            return Err(Error::unsupported(format!("value `{name}` is a sequence; only tensors are implemented")));
        }
        TypeValue::Map(_) => return Err(Error::unsupported(format!("value `{name}` is a map; only tensors are implemented"))),
        TypeValue::Optional(_) => {
            return Err(Error::unsupported(format!("value `{name}` is an optional; only tensors are implemented")));
        }
        TypeValue::SparseTensor(_) => {
            return Err(Error::unsupported(format!("value `{name}` is a sparse tensor; only dense tensors are implemented")));
        }
        TypeValue::Opaque(_) => return Err(Error::unsupported(format!("value `{name}` is opaque; only tensors are implemented"))),
    };
    let dtype = dtype(tensor.elem_type).map_err(within)?;
    let Some(shape) = &tensor.shape else { return Ok(Declared { dtype, dims: None }) };
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
    Ok(Declared { dtype, dims: Some(dims) })
}
