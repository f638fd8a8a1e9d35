//! What operators ask of the facts of their inputs.

use crate::error::{Error, Result};
use crate::graph::{Bounds, Fact, required};
use crate::tensor::{DType, Scalar, Tensor};

/// The facts of arguments that are all there; the contents of input 0 are left out, since no movement looks at them.
pub(crate) fn facts(inputs: &[Option<&Tensor>]) -> Vec<Option<Fact>> {
    let fact = |(i, t): (usize, &Option<&Tensor>)| {
        t.map(|t| if i == 0 { Fact::new(t.dtype(), t.shape().clone()) } else { Fact::of(t.clone()) })
    };
    inputs.iter().enumerate().map(fact).collect()
}

/// The contents of an input that shapes depend on (axes, sizes, repeats), as integers.
///
/// # Errors
/// [`NeedsValue`](crate::ErrorKind::NeedsValue) when they are not known.
pub(crate) fn known(op: &'static str, inputs: &[Option<&Fact>], index: usize) -> Result<Vec<i64>> {
    let fact = required(op, inputs, index)?;
    if fact.dtype().is_float() {
        return Err(Error::invalid_model(format!("{op} expects integers as input {index}, found {}", fact.ty)));
    }
    fact.value.as_ref().map(Tensor::to_i64).ok_or_else(|| Error::needs_value(index))
}

/// As [`known`], for an input that may be left out.
pub(crate) fn known_optional(op: &'static str, inputs: &[Option<&Fact>], index: usize) -> Result<Option<Vec<i64>>> {
    match inputs.get(index).copied().flatten() {
        Some(_) => known(op, inputs, index).map(Some),
        None => Ok(None),
    }
}

/// The input of indices, input 1, after a check of its dtype.
///
/// # Errors
/// [`InvalidModel`](crate::ErrorKind::InvalidModel) when it is missing or of another dtype.
pub(crate) fn indices<'a>(op: &'static str, inputs: &[Option<&'a Fact>]) -> Result<&'a Fact> {
    let indices = required(op, inputs, 1)?;
    match indices.dtype() {
        DType::I32 | DType::I64 => Ok(indices),
        _ => Err(Error::invalid_model(format!("{op} expects indices of i32 or i64, found {}", indices.ty))),
    }
}

/// Checks that data and indices of a kernel are on the GPU, and that there is something to pick from.
///
/// # Errors
/// [`Unsupported`](crate::ErrorKind::Unsupported) with what is not.
pub(crate) fn on_gpu(data: &Fact, indices: &Fact) -> Result<()> {
    if data.scalar().is_none() {
        return Err(no_scalar(data));
    }
    if indices.scalar() != Some(Scalar::I32) {
        return Err(no_scalar(indices));
    }
    if data.ty.elements() == 0 && indices.ty.elements() > 0 {
        return Err(Error::unsupported(format!("{} has no element that an index could name", data.ty)));
    }
    Ok(())
}

/// The reason why a value is not on the GPU.
pub(crate) fn no_scalar(fact: &Fact) -> Error {
    Error::unsupported(format!("{fact:?} has no 32-bit form whose range is proven, so it lives on the host"))
}

/// The smallest bounds that hold both, where both are known.
pub(crate) fn union(a: Option<Bounds>, b: Option<Bounds>) -> Option<Bounds> {
    a.zip(b).map(|(a, b)| (a.0.min(b.0), a.1.max(b.1)))
}

/// The first element of a tensor as it stands in a storage buffer.
pub(crate) fn bits(value: &Tensor, scalar: Scalar) -> u32 {
    match scalar {
        Scalar::F32 => value.to_f64().first().map_or(0, |v| (*v as f32).to_bits()),
        // Bounds were proven, so that nothing is cut off but the sign's extension.
        Scalar::I32 | Scalar::U32 => value.to_i128().first().map_or(0, |v| *v as u32),
    }
}
