//! The inputs of a batch from those of its requests, and the outputs of requests from those of their batch.

use super::buffer::{Buffer, Elements, cut, padded};
use super::dispatcher::Job;
use super::prepared::Prepared;
use crate::failure::{Failure, Result};
use crate::protocol::InferTensor;
use crate::repository::LoadedModel;
use bytes::Bytes;
use gristmill::{Error, ErrorKind, Outputs, Tensor};
use std::ops::Range;

/// The outputs of one request.
pub(super) type Parted = Vec<(String, gristmill::DType, Vec<usize>, Bytes)>;

/// The inputs of a batch, by name.
pub(super) fn joined<'a>(model: &'a LoadedModel, jobs: &[Job], filled: usize) -> Result<Vec<(&'a str, Buffer)>> {
    let mut inputs = Vec::new();
    for (index, input) in model.interface.inputs.iter().enumerate() {
        let tensors: Vec<_> = jobs.iter().filter_map(|job| Some((job.prepared.inputs[index].as_ref()?, &job.prepared))).collect();
        let Some((first, prepared)) = tensors.first() else { continue };
        let dtype = input.datatype.dtype();
        let dtype = dtype.ok_or_else(|| Failure::internal(format!("input `{}` has no type of the engine", input.name)))?;
        let mut shape = first.shape.clone();
        let pad = model.padding.as_ref().and_then(|padding| padding.inputs.get(index)?.as_ref()).zip(prepared.length);
        if let Some((pad, (_, to))) = pad {
            shape[pad.axis] = to;
        }
        let longer = |(tensor, prepared): &(&InferTensor, &Prepared)| match pad.zip(prepared.length) {
            Some(((pad, _), (length, to))) => {
                let (outer, inner) = around(&tensor.shape, pad.axis);
                padded(&tensor.data, outer, inner * dtype.size(), [length, to], &pad.element)
            }
            None => tensor.data.clone(),
        };
        let parts: Vec<(Bytes, usize)> = tensors.iter().map(|part| (longer(part), part.1.rows)).collect();
        let elements = match model.joined().map(|batch| batch.inputs[index]) {
            Some(axis) => {
                shape[axis] = filled;
                let (outer, inner) = around(&shape, axis);
                Elements::join(&parts, outer, inner * dtype.size(), filled)
            }
            None => {
                let only = &parts[0].0;
                Elements::join(&[(only.clone(), 1)], 1, only.len(), 1)
            }
        };
        inputs.push((input.name.as_str(), Buffer { dtype, shape, elements }));
    }
    Ok(inputs)
}

/// The number of elements in front of an axis, and behind it.
fn around(shape: &[usize], axis: usize) -> (usize, usize) {
    (shape[..axis].iter().product(), shape[axis + 1..].iter().product())
}

/// The bytes of a tensor as shared memory.
struct Held(Tensor);

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        self.0.bytes()
    }
}

/// The outputs of each request: rows of those of the batch without padding, in the same memory where nothing lies between them.
pub(super) fn part(model: &LoadedModel, jobs: &[Job], outputs: &Outputs, filled: usize) -> Result<Vec<Parted>> {
    let mut parted: Vec<Parted> = jobs.iter().map(|_| Vec::new()).collect();
    let whole = jobs.len() == 1 && jobs.iter().all(|job| job.prepared.rows == filled);
    let batch = model.joined().filter(|_| !whole);
    for (index, (name, structure)) in outputs.structures().enumerate() {
        let tensor = structure.tensor()?;
        let (shape, bytes) = (tensor.shape().dims().to_vec(), Bytes::from_owner(Held(tensor.clone())));
        let along = batch.and_then(|batch| batch.outputs.get(index).copied());
        let padded = model.padding.as_ref().and_then(|padding| padding.outputs.get(index).copied().flatten());
        let size = tensor.dtype().size();
        let mut start = 0;
        for (one, job) in parted.iter_mut().zip(jobs) {
            let (mut shape, mut bytes) = (shape.clone(), bytes.clone());
            if let Some(axis) = along {
                expect(name, &shape, axis, filled)?;
                let rows = start..start + job.prepared.rows;
                start = rows.end;
                bytes = rows_of(&bytes, &mut shape, axis, rows, size);
            }
            if let Some((axis, (length, to))) = padded.zip(job.prepared.length) {
                expect(name, &shape, axis, to)?;
                let (outer, inner) = around(&shape, axis);
                bytes = cut(&bytes, outer, inner * size, [to, length]);
                shape[axis] = length;
            }
            one.push((name.to_string(), tensor.dtype(), shape, bytes));
        }
    }
    Ok(parted)
}

/// An output must have the extents that shape inference found.
fn expect(name: &str, shape: &[usize], axis: usize, extent: usize) -> Result<()> {
    if shape.get(axis) == Some(&extent) {
        return Ok(());
    }
    let message = format!("output `{name}` of shape {shape:?}: expected {extent} along axis {axis}");
    Err(Error::new(ErrorKind::Internal, message).into())
}

/// Rows of a tensor, whose shape becomes theirs.
fn rows_of(bytes: &Bytes, shape: &mut [usize], axis: usize, rows: Range<usize>, size: usize) -> Bytes {
    let (outer, inner) = around(shape, axis);
    let (inner, all) = (inner * size, shape[axis]);
    shape[axis] = rows.len();
    let place = |block: usize| (block * all + rows.start) * inner..(block * all + rows.end) * inner;
    match outer {
        1 => bytes.slice(place(0)),
        _ => (0..outer).flat_map(|block| bytes[place(block)].iter().copied()).collect(),
    }
}
