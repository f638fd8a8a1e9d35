//! A network with its weights, ready to be run.

use super::{Graph, Input, State, ValueId};
use crate::error::{Error, Result};
use std::sync::Arc;

/// A network: what an importer or a [`Builder`](super::Builder) yields and a session runs. Cloning shares the weights.
#[derive(Clone, Debug)]
pub struct Model {
    graph: Arc<Graph>,
}

impl Model {
    /// A model from a graph written in Rust.
    pub fn from_graph(graph: Graph) -> Self {
        Model { graph: Arc::new(graph) }
    }

    /// The model with states: pairs of an output and an input, of which the input holds in each run what the output was in the run before.
    /// Such a state is named after its input. It starts from the input's default, else from zeros where the input's extents are
    /// known; otherwise it must be set before the first run, and may change its open extents from run to run.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for a name that the model does not have, an input or output that is paired
    /// twice, and an output of another element type than the input.
    pub fn with_states(&self, pairs: &[(&str, &str)]) -> Result<Model> {
        let named = |name: &str| self.graph.find(name);
        let default = |id: &ValueId| self.graph.defaults().iter().any(|default| default.input.value == *id);
        let required: Vec<ValueId> = pairs.iter().filter_map(|(_, input)| named(input)).filter(default).collect();
        let mut graph = self.graph.requiring(&required);
        let dtypes = graph.dtypes();
        for (output, input) in pairs {
            let invalid = |what: String| Error::invalid_argument(format!("state of output `{output}` and input `{input}`: {what}"));
            let written = named(output).filter(|id| graph.outputs().contains(id));
            let written = written.ok_or_else(|| invalid(format!("the model has no output `{output}`")))?;
            let read = named(input).and_then(|id| graph.inputs().iter().find(|input| input.value == id));
            let Some(Input { value, dtype, .. }) = read else { return Err(invalid(format!("the model has no input `{input}`"))) };
            let (value, dtype) = (*value, *dtype);
            if graph.states().iter().any(|state| state.input == value || state.output == written) {
                return Err(invalid("one of them is paired already".into()));
            }
            if let Some(found) = dtypes[written.index()].filter(|found| *found != dtype) {
                return Err(invalid(format!("the input is {dtype}, the output {found}")));
            }
            let initial = self.graph.constant(value).cloned();
            graph.states.push(State { name: (*input).to_string(), input: value, output: written, initial });
        }
        graph.verify()?;
        Ok(Model::from_graph(graph))
    }

    /// Its graph, as imported.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }
}
