//! The inputs of a batch from those of its requests, and the outputs of requests from those of their batch.

use super::buffer::{Buffer, Elements};
use super::dispatcher::Job;
use crate::failure::{Failure, Result};
use crate::repository::LoadedModel;
use bytes::Bytes;
use gristmill::{Error, ErrorKind, Outputs, Tensor};

/// The outputs of one request.
pub(super) type Parted = Vec<(String, gristmill::DType, Vec<usize>, Bytes)>;

/// The inputs of a batch, by name.
pub(super) fn joined<'a>(model: &'a LoadedModel, jobs: &[Job], filled: usize) -> Result<Vec<(&'a str, Buffer)>> {
    let mut inputs = Vec::new();
    for (index, input) in model.interface.inputs.iter().enumerate() {
        let tensors: Vec<_> =
            jobs.iter().filter_map(|job| Some((job.prepared.inputs[index].as_ref()?, job.prepared.rows))).collect();
        let Some((first, _)) = tensors.first() else { continue };
        let dtype = input.datatype.dtype();
        let dtype = dtype.ok_or_else(|| Failure::internal(format!("input `{}` has no type of the engine", input.name)))?;
        let mut shape = first.shape.clone();
        let parts: Vec<(&Bytes, usize)> = tensors.iter().map(|(tensor, rows)| (&tensor.data, *rows)).collect();
        let elements = match model.joined().map(|batch| batch.inputs[index]) {
            Some(axis) => {
                shape[axis] = filled;
                let (outer, inner) = around(&shape, axis);
                Elements::join(&parts, outer, inner * dtype.size(), filled)
            }
            None => Elements::join(&[(&first.data, 1)], 1, first.data.len(), 1),
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

/// The outputs of each request: rows of those of the batch, in the same memory where nothing lies between them.
pub(super) fn part(model: &LoadedModel, jobs: &[Job], outputs: &Outputs, filled: usize) -> Result<Vec<Parted>> {
    let mut parted: Vec<Parted> = jobs.iter().map(|_| Vec::new()).collect();
    let whole = jobs.len() == 1 && jobs.iter().all(|job| job.prepared.rows == filled);
    let batch = model.joined().filter(|_| !whole);
    for (index, (name, structure)) in outputs.structures().enumerate() {
        let tensor = structure.tensor()?;
        let (shape, bytes) = (tensor.shape().dims().to_vec(), Bytes::from_owner(Held(tensor.clone())));
        let Some(axis) = batch.and_then(|batch| batch.outputs.get(index).copied()) else {
            parted.iter_mut().for_each(|one| one.push((name.to_string(), tensor.dtype(), shape.clone(), bytes.clone())));
            continue;
        };
        if shape.get(axis) != Some(&filled) {
            let message = format!("output `{name}` of shape {shape:?}: expected {filled} along axis {axis}");
            return Err(Error::new(ErrorKind::Internal, message).into());
        }
        let (outer, inner) = around(&shape, axis);
        let inner = inner * tensor.dtype().size();
        let mut start = 0;
        for (one, job) in parted.iter_mut().zip(jobs) {
            let rows = start..start + job.prepared.rows;
            let place = |block: usize| (block * filled + rows.start) * inner..(block * filled + rows.end) * inner;
            let own = match outer {
                1 => bytes.slice(place(0)),
                _ => (0..outer).flat_map(|block| bytes[place(block)].iter().copied()).collect(),
            };
            let mut extents = shape.clone();
            extents[axis] = rows.len();
            one.push((name.to_string(), tensor.dtype(), extents, own));
            start = rows.end;
        }
    }
    Ok(parted)
}
