//! A request that fits its model, as the engine takes it.

use crate::failure::{Failure, Result};
use crate::protocol::{InferTensor, Sequence};
use crate::repository::LoadedModel;
use crate::schedule::Part;

/// What must be equal for requests to be computed together: for each of the model's inputs its extents with 0 for the number of rows, or
/// none where it is left out.
pub(super) type Form = Vec<Option<Vec<usize>>>;

/// A request that fits its model.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// In the order of the model's inputs; none where one is left out.
    pub(super) inputs: Vec<Option<InferTensor>>,
    pub(super) form: Form,
    pub(super) rows: usize,
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
        let bytes = given.iter().map(|tensor| tensor.data.len()).sum();
        let mut take = |name: &str| given.iter().position(|tensor| tensor.name == name).map(|at| given.swap_remove(at));
        let inputs: Vec<Option<InferTensor>> = model.interface.inputs.iter().map(|input| take(&input.name)).collect();
        let joined = model.joined();
        let axis = |index: usize| joined.and_then(|batch| batch.inputs.get(index).copied());
        let along = |(index, tensor): (usize, &Option<InferTensor>)| tensor.as_ref()?.shape.get(axis(index)?).copied();
        let rows = inputs.iter().enumerate().find_map(along).unwrap_or(1);
        if joined.is_some() && rows > model.max_rows() {
            return Err(Failure::invalid(format!("expected at most {} rows, found {rows}", model.max_rows())));
        }
        let rest = |index: usize, tensor: &InferTensor| {
            let mut shape = if joined.is_some() { tensor.shape.clone() } else { vec![] };
            if let Some(extent) = axis(index).and_then(|axis| shape.get_mut(axis)) {
                *extent = 0;
            }
            shape
        };
        let rest = |(index, input): (usize, &Option<InferTensor>)| input.as_ref().map(|tensor| rest(index, tensor));
        let form = inputs.iter().enumerate().map(rest).collect();
        let elements = |tensor: &InferTensor| tensor.shape.iter().product::<usize>();
        let tokens = inputs.iter().flatten().map(elements).max().unwrap_or(0);
        Ok(Prepared { inputs, form, rows, tokens, bytes, sequence })
    }
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
