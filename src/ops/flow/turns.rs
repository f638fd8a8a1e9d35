//! What the turns of a loop are made of, for references and for runs: counts, conditions, slices of scan inputs, and rows of scan outputs.

use crate::error::{Error, Result};
use crate::graph::Structure;
use crate::tensor::{DType, Shape, Tensor, TensorType};

/// The most turns that are written one after another, and the most nodes in all of them.
pub const MAX_WRITTEN: (u64, usize) = (16, 256);

/// The truth of a condition: a bool of one element.
///
/// # Errors
/// [`InvalidModel`](crate::ErrorKind::InvalidModel) for anything else.
pub fn condition(operator: &str, condition: &Tensor) -> Result<bool> {
    if condition.dtype() != DType::Bool || condition.elements() != 1 {
        return Err(Error::invalid_model(format!("{operator} takes a condition of one bool, found {}", condition.ty())));
    }
    Ok(condition.to_i128().first().is_some_and(|c| *c != 0))
}

/// How many turns a count asks for; none where it is negative.
///
/// # Errors
/// [`InvalidModel`](crate::ErrorKind::InvalidModel) where it is not one integer.
pub fn count(count: &Tensor) -> Result<u64> {
    if count.dtype().is_float() || count.dtype() == DType::Bool || count.elements() != 1 {
        return Err(Error::invalid_model(format!("Loop takes a count of one integer, found {}", count.ty())));
    }
    let turns = count.to_i128().first().copied().unwrap_or(0);
    Ok(u64::try_from(turns.max(0)).unwrap_or(u64::MAX))
}

/// How many slices scan inputs of these types have along axis 0; `None` where there is no scan input.
///
/// # Errors
/// [`InvalidInput`](crate::ErrorKind::InvalidInput) where they differ, or one is a scalar.
pub fn slices<'a>(types: impl Iterator<Item = &'a TensorType>) -> Result<Option<u64>> {
    let mut found: Option<u64> = None;
    for (k, ty) in types.enumerate() {
        let length =
            ty.shape.first().ok_or_else(|| Error::invalid_input(format!("scan input {k} is a scalar: it has no slices")))?;
        let length = *length as u64;
        match found {
            Some(first) if first != length => {
                return Err(Error::invalid_input(format!("scan input {k} has {length} slices, but scan input 0 has {first}")));
            }
            _ => found = Some(length),
        }
    }
    Ok(found)
}

/// Checks the value that a turn leaves against the one that it found: both are tensors of one dtype and rank, or neither is a tensor.
///
/// # Errors
/// [`InvalidModel`](crate::ErrorKind::InvalidModel) with both.
pub fn carried(index: usize, before: &Structure<TensorType>, after: &Structure<TensorType>) -> Result<()> {
    let fits = match (before, after) {
        (Structure::Tensor(before), Structure::Tensor(after)) => {
            before.dtype == after.dtype && before.shape.rank() == after.shape.rank()
        }
        (Structure::Tensor(_), Structure::Sequence(_)) | (Structure::Sequence(_), Structure::Tensor(_)) => false,
        _ => true,
    };
    if fits {
        return Ok(());
    }
    let text = |structure: &Structure<TensorType>| match structure {
        Structure::Tensor(ty) => ty.to_string(),
        Structure::Sequence(types) => format!("a sequence of {}", types.len()),
        Structure::Absent => "nothing".into(),
    };
    Err(Error::invalid_model(format!(
        "carried value {index} is {} before a turn and {} after it: a turn may change extents, not dtype or rank",
        text(before),
        text(after)
    )))
}

/// The type of all rows of a scan output, one of each turn.
///
/// # Errors
/// [`InvalidModel`](crate::ErrorKind::InvalidModel) where rows differ; what [`TensorType::checked`] reports.
pub fn stacked(index: usize, rows: &[TensorType], row: &TensorType) -> Result<TensorType> {
    if let Some(turn) = rows.iter().position(|other| other != row) {
        return Err(Error::invalid_model(format!("scan output {index} is {row} in one turn and {} in turn {turn}", rows[turn])));
    }
    let shape: Shape = std::iter::once(rows.len()).chain(row.shape.iter().copied()).collect::<Vec<_>>().into();
    TensorType::new(row.dtype, shape).checked()
}

/// Slice `turn` of a tensor along axis 0.
///
/// # Errors
/// As [`Tensor::from_bytes`].
pub fn slice(tensor: &Tensor, turn: usize) -> Result<Tensor> {
    let row = TensorType::new(tensor.dtype(), tensor.shape().get(1..).unwrap_or(&[]));
    let bytes = row.elements() * row.dtype.size();
    Tensor::from_bytes(row, tensor.bytes().get(turn * bytes..(turn + 1) * bytes).unwrap_or(&[]))
}

/// All rows of a scan output as one tensor; `row` is the type of each.
///
/// # Errors
/// As [`stacked`].
pub fn stack(index: usize, rows: &[Tensor], row: &TensorType) -> Result<Tensor> {
    let types: Vec<TensorType> = rows.iter().map(|row| row.ty().clone()).collect();
    let ty = stacked(index, &types, row)?;
    Tensor::from_bytes(ty, &rows.iter().flat_map(Tensor::bytes).copied().collect::<Vec<u8>>())
}
