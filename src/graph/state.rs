//! What lasts from run to run: an input whose value is what an output was in the run before.

use super::{Dim, Fact, Graph, Input, ValueId};
use crate::error::{Error, Result};
use crate::tensor::{DType, Tensor, TensorType};
use std::collections::HashSet;

/// A value that lasts from run to run. Both its ends are an ordinary input and an ordinary output of the graph.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// Its name.
    pub name: String,
    /// What it holds when a run starts: an input.
    pub input: ValueId,
    /// What it holds from the end of the run on: an output.
    pub output: ValueId,
    /// What it holds before the first run; without one it is all zeros, where its extents are known.
    pub initial: Option<Tensor>,
}

impl State {
    /// The type that the input is declared to have, where all its extents are known.
    fn declared(input: &Input) -> Option<TensorType> {
        let known = |dim: &Dim| if let Dim::Known(extent) = dim { Some(*extent) } else { None };
        let dims: Vec<usize> = input.dims.as_ref()?.iter().map(known).collect::<Option<_>>()?;
        Some(TensorType::new(input.dtype, dims))
    }

    /// What it holds before the first run, if that is known.
    pub(crate) fn start(&self, input: &Input) -> Option<Tensor> {
        self.initial.clone().or_else(|| State::declared(input).map(Tensor::zeros))
    }

    /// Checks that a tensor of this type may become what it holds: extents that are declared must stay.
    ///
    /// # Errors
    /// [`InvalidModel`](crate::ErrorKind::InvalidModel) naming the state, what was expected and what the run writes.
    pub(crate) fn accepts(&self, input: &Input, ty: &TensorType) -> Result<()> {
        if fits(input, ty) {
            return Ok(());
        }
        let dims = input.dims.as_ref().map_or("?".into(), |d| d.iter().map(ToString::to_string).collect::<Vec<_>>().join(","));
        let message = format!("state `{}`: expected {}[{dims}], the run writes {ty}", self.name, input.dtype);
        Err(Error::invalid_model(message))
    }
}

/// Whether a type is what an input is declared to be, names of extents apart.
fn fits(input: &Input, ty: &TensorType) -> bool {
    let Some(dims) = &input.dims else { return ty.dtype == input.dtype };
    let fits = |(dim, extent): (&Dim, &usize)| !matches!(dim, Dim::Known(known) if known != extent);
    ty.dtype == input.dtype && dims.len() == ty.shape.len() && dims.iter().zip(ty.shape.iter()).all(fits)
}

impl Graph {
    /// What lasts from run to run. Inputs and outputs of states are left out of what a run is given and returns.
    pub fn states(&self) -> &[State] {
        &self.states
    }

    /// The declaration of a state's input.
    ///
    /// # Errors
    /// [`InvalidModel`](crate::ErrorKind::InvalidModel) when there is none.
    pub(crate) fn state_input(&self, state: &State) -> Result<&Input> {
        let found = self.inputs.iter().find(|input| input.value == state.input);
        found.ok_or_else(|| Error::invalid_model(format!("state `{}` reads a value that is no input", state.name)))
    }

    /// For each output, the state that it is for; an output that is returned as well stands there once more, before that.
    pub(crate) fn written_states(&self) -> Vec<Option<usize>> {
        let mut written = vec![None; self.outputs.len()];
        for (index, state) in self.states.iter().enumerate() {
            if let Some(place) = self.outputs.iter().rposition(|output| *output == state.output) {
                written[place] = Some(index);
            }
        }
        written
    }

    /// Checks that states have ends of their own, which agree in what is known of their types.
    pub(super) fn verify_states(&self) -> Result<()> {
        let (mut names, mut ends) = (HashSet::new(), HashSet::new());
        for state in &self.states {
            let State { name, input, output, .. } = state;
            let invalid = |what: &str| Err(Error::invalid_model(format!("state `{name}` {what}")));
            if !names.insert(name) {
                return invalid("is declared twice");
            }
            if !ends.insert((false, *input)) {
                return invalid("reads an input that is another state's");
            }
            if !ends.insert((true, *output)) {
                return invalid("is written by an output that writes another state");
            }
            if !self.outputs.contains(output) {
                return invalid("is written by a value that is no output");
            }
            let declared = self.state_input(state)?;
            if let Some(tensor) = &state.initial
                && !fits(declared, tensor.ty())
            {
                return invalid(&format!("holds {} at first, which its input is not declared to be", tensor.ty()));
            }
            if let (Some(read), Some(written)) = (&self.values[input.0].fact, &self.values[output.0].fact) {
                // Inputs of a specialised graph keep their declarations; what is open in them may change from run to run.
                state.accepts(declared, &read.ty)?;
                state.accepts(declared, &written.ty)?;
            }
        }
        Ok(())
    }

    /// Element types of all values as far as operators tell them without extents: open ones are taken to be 1.
    #[doc(hidden)]
    pub fn dtypes(&self) -> Vec<Option<DType>> {
        let mut facts: Vec<Option<Fact>> = self.values.iter().map(|value| value.constant.clone().map(Fact::of)).collect();
        for input in &self.inputs {
            let extent = |dim: &Dim| if let Dim::Known(extent) = dim { *extent } else { 1 };
            let dims: Vec<usize> = input.dims.iter().flatten().map(extent).collect();
            facts[input.value.0] = Some(Fact::new(input.dtype, dims));
        }
        for node in &self.nodes {
            let given = node.inputs.iter().flatten().all(|id| facts[id.0].is_some());
            let inputs: Vec<Option<&Fact>> = node.inputs.iter().map(|id| id.and_then(|id| facts[id.0].as_ref())).collect();
            let Some(results) = given.then(|| node.op.infer(&inputs)).and_then(Result::ok) else { continue };
            for (id, fact) in node.outputs.iter().zip(results) {
                if let Some(id) = id {
                    facts[id.0] = Some(fact);
                }
            }
        }
        facts.into_iter().map(|fact| fact.map(|fact| fact.ty.dtype)).collect()
    }
}
