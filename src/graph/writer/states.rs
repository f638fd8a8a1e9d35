//! States of a graph that is being written.

use super::Writer;
use crate::error::{Error, Result};
use crate::graph::{Dim, Form, Input, State, ValueId};
use crate::tensor::Tensor;

/// A state that is read, and not yet written.
#[derive(Debug)]
pub(super) struct Unwritten {
    name: String,
    input: ValueId,
    initial: Tensor,
}

impl Writer {
    /// Declares a state of this name and initial value: what it holds when a run starts.
    pub fn state(&mut self, name: &str, initial: Tensor) -> ValueId {
        let dims = initial.shape().iter().map(|extent| Dim::Known(*extent)).collect();
        let input = self.declare(name, initial.dtype(), Some(dims));
        self.unwritten.push(Unwritten { name: name.to_string(), input, initial });
        input
    }

    /// The inputs that a run is given; those of states are not among them.
    pub fn given(&self) -> Vec<ValueId> {
        let is_state = |id: &ValueId| self.graph.states.iter().any(|state| state.input == *id);
        self.graph.inputs.iter().map(|input| input.value).filter(|id| !is_state(id)).collect()
    }

    /// Makes a constant what a state of its name holds when a run starts. All that read it read the state.
    ///
    /// # Errors
    /// [`InvalidModel`](crate::ErrorKind::InvalidModel) when the value is no constant.
    pub fn remember(&mut self, id: ValueId) -> Result<()> {
        let value = &mut self.graph.values[id.0];
        let name = value.name.clone();
        let initial = value.constant.take();
        let initial = initial.ok_or_else(|| Error::invalid_model(format!("only a constant can become a state, not `{name}`")))?;
        let dims = Some(initial.shape().iter().map(|extent| Dim::Known(*extent)).collect());
        self.graph.defaults.retain(|default| default.input.value != id);
        self.graph.inputs.push(Input { value: id, form: Form::Tensor, dtype: initial.dtype(), dims });
        self.unwritten.push(Unwritten { name, input: id, initial });
        Ok(())
    }

    /// Declares a value to be what a state holds from the end of a run on.
    ///
    /// # Errors
    /// [`InvalidModel`](crate::ErrorKind::InvalidModel) when there is no such state, or it is written already.
    pub fn write_state(&mut self, name: &str, value: ValueId) -> Result<()> {
        let Some(place) = self.unwritten.iter().position(|state| state.name == name) else {
            let written = self.graph.states.iter().any(|state| state.name == name);
            let what = if written { "is written twice" } else { "is not declared" };
            return Err(Error::invalid_model(format!("state `{name}` {what}")));
        };
        let Unwritten { name, input, initial } = self.unwritten.remove(place);
        self.links[value.0].output = true;
        self.graph.outputs.push(value);
        self.graph.states.push(State { name, input, output: value, initial: Some(initial) });
        Ok(())
    }

    /// Checks that every state is written.
    pub(super) fn check_written(&self) -> Result<()> {
        match self.unwritten.first() {
            Some(state) => Err(Error::invalid_model(format!("state `{}` is never written", state.name))),
            None => Ok(()),
        }
    }
}
