//! A request that fits its model, as the engine takes it.

use crate::failure::{Failure, Result};
use crate::protocol::{InferTensor, Sequence, elements};
use crate::repository::LoadedModel;
use crate::schedule::Part;

/// What must be equal for requests to be computed together: for each of the model's inputs its extents with 0 for the number of rows and with
/// padding, or none where it is left out.
pub(super) type Form = Vec<Option<Vec<usize>>>;

/// A request that fits its model.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// In the order of the model's inputs; none where one is left out.
    pub(super) inputs: Vec<Option<InferTensor>>,
    pub(super) form: Form,
    pub(super) rows: usize,
    /// The extent along the dimension that is padded, where one is, and what it is padded to.
    pub(super) length: Option<(usize, usize)>,
    pub(super) tokens: usize,
    pub(super) bytes: usize,
    pub(super) sequence: Option<Part>,
}

impl Prepared {
    /// Checks a request's inputs, and what it says of a sequence, against the model.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::Code::InvalidArgument) saying what was expected.
    pub fn new(model: &LoadedModel, mut given: Vec<InferTensor>, sequence: Option<&Sequence>) -> Result<Self> {
        model.interface.check(&given)?;
        let sequence = sequence.map(|sequence| part(model, sequence)).transpose()?.flatten();
        let mut take = |name: &str| given.iter().position(|tensor| tensor.name == name).map(|at| given.swap_remove(at));
        let mut inputs: Vec<Option<InferTensor>> = model.interface.inputs.iter().map(|input| take(&input.name)).collect();
        let joined = model.joined();
        let axis = |index: usize| joined.and_then(|batch| batch.inputs.get(index).copied());
        let rows = extent(&inputs, axis).unwrap_or(1);
        if joined.is_some() && rows > model.max_rows() {
            return Err(Failure::invalid(format!("expected at most {} rows, found {rows}", model.max_rows())));
        }
        let length = padded(model, &mut inputs)?;
        let (mut form, mut tokens, mut bytes) = (Form::new(), 0usize, 0usize);
        for (index, input) in inputs.iter().enumerate() {
            let Some(tensor) = input else {
                form.push(None);
                continue;
            };
            let mut shape = tensor.shape.clone();
            let place = model.padding.as_ref().and_then(|padding| padding.axis(index)).and_then(|axis| shape.get_mut(axis));
            place.into_iter().zip(length).for_each(|(extent, (_, to))| *extent = to);
            let elements = elements(&tensor.name, &shape)?;
            tokens = tokens.max(elements);
            bytes = bytes.saturating_add(tensor.datatype.size().map_or(tensor.data.len(), |size| elements.saturating_mul(size)));
            if let Some(extent) = axis(index).and_then(|axis| shape.get_mut(axis)) {
                *extent = 0;
            }
            form.push(Some(if joined.is_some() || length.is_some() { shape } else { vec![] }));
        }
        Ok(Prepared { inputs, form, rows, length, tokens, bytes, sequence })
    }
}

/// The extent of inputs along an axis that each has, or not.
fn extent(inputs: &[Option<InferTensor>], axis: impl Fn(usize) -> Option<usize>) -> Option<usize> {
    let along = |(index, tensor): (usize, &Option<InferTensor>)| tensor.as_ref()?.shape.get(axis(index)?).copied();
    inputs.iter().enumerate().find_map(along)
}

/// The extent along the dimension that is padded, and what it is padded to. A mask that is left out is made.
fn padded(model: &LoadedModel, inputs: &mut [Option<InferTensor>]) -> Result<Option<(usize, usize)>> {
    let Some(padding) = &model.padding else { return Ok(None) };
    let Some(length) = extent(inputs, |index| padding.axis(index)) else { return Ok(None) };
    let bucket = padding.padded(length)?;
    if let Some(mask) = padding.mask.as_ref().filter(|mask| inputs.get(mask.input).is_some_and(Option::is_none)) {
        let batch = model.interface.batch.as_ref();
        let rows = extent(inputs, |index| batch.and_then(|batch| batch.inputs.get(index).copied())).unwrap_or(1);
        let made = mask.ones(rows, length, model.config.queue.max_bytes)?;
        if let Some(place) = inputs.get_mut(mask.input) {
            *place = Some(made);
        }
    }
    Ok(Some((length, bucket)))
}

/// The place in a sequence that a request asks for; none where it names no sequence, and is one by itself.
fn part(model: &LoadedModel, asked: &Sequence) -> Result<Option<Part>> {
    if model.session.states().is_empty() {
        return Err(Failure::invalid(format!(
            "the model `{}` has no states: expected none of the parameters sequence_id, sequence_start and sequence_end",
            model.name
        )));
    }
    let part = |id: &crate::protocol::SequenceId| Part { key: id.to_string().into(), start: asked.start, end: asked.end };
    Ok(asked.id.as_ref().map(part))
}
