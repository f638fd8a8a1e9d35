//! Runs with states: what they hold goes in as inputs do, and what comes out they hold from then on.

use super::planned::{PlannedGraph, Route};
use super::runner::{Runner, given};
use crate::error::{Error, ErrorKind, Result};
use crate::gpu::{BoxedFuture, boxed};
use crate::graph::{Graph, Structure, ValueId};
use crate::plan::{Plan, Written};
use crate::session::data::held::Held;
use crate::session::execution::execute::execute;
use crate::session::execution::state_buffers::StateBuffers;
use crate::session::execution::values::Values;
use crate::tensor::{Tensor, TensorView};

/// All inputs of a graph, from those that a run is given and what its states hold.
pub(crate) fn all_inputs<'a>(
    graph: &Graph,
    given: &[Structure<TensorView<'a>>],
    states: &StateBuffers,
) -> Result<Vec<Structure<Held<'a>>>> {
    let mut given = given.iter();
    let mut inputs = Vec::with_capacity(graph.inputs().len());
    for input in graph.inputs() {
        let held = match graph.states().iter().any(|state| state.input == input.value) {
            true => Some(Structure::Tensor(states.held(input.value)?)),
            false => given.next().map(|given| given.map(|view| Held::given(*view))),
        };
        inputs.push(held.ok_or_else(|| Error::internal("an input is missing"))?);
    }
    Ok(inputs)
}

/// Whether the state of an input stays on the device as a plan writes it.
fn stays(plan: &Plan, input: ValueId) -> bool {
    plan.states.iter().any(|state| state.input == input && state.written != Written::Host)
}

/// Whether a plan reads the state of an input where it lies.
fn is_read(plan: &Plan, input: ValueId) -> bool {
    plan.states.iter().any(|state| state.input == input && state.scalar.is_some())
}

impl Runner<'_> {
    /// The outputs that a run of a graph returns, on the host. A run that fails leaves states as they were, where it can.
    /// When the device has no memory left, the graph's other plans give up theirs.
    pub(crate) fn values<'s, 'a: 's>(
        &'s self,
        planned: &'s PlannedGraph,
        inputs: &'s [Structure<TensorView<'a>>],
        states: &'s mut StateBuffers,
    ) -> BoxedFuture<'s, Result<Vec<Structure<Tensor>>>> {
        boxed(async move {
            match self.attempt_with(planned, inputs, states).await {
                Err(error) if error.kind() == ErrorKind::OutOfMemory && states.is_sound() => {
                    log::warn!("{error}; trying again without the buffers of other plans");
                    planned.routes.clear();
                    self.resources.gpu.trim_buffers();
                    self.attempt_with(planned, inputs, states).await
                }
                result => result,
            }
        })
    }

    async fn attempt_with(
        &self,
        planned: &PlannedGraph,
        inputs: &[Structure<TensorView<'_>>],
        states: &mut StateBuffers,
    ) -> Result<Vec<Structure<Tensor>>> {
        let result = self.run_with(planned, inputs, states).await;
        states.end(result.is_ok());
        result
    }

    async fn run_with(
        &self,
        planned: &PlannedGraph,
        inputs: &[Structure<TensorView<'_>>],
        states: &mut StateBuffers,
    ) -> Result<Vec<Structure<Tensor>>> {
        let mut inputs = all_inputs(&planned.graph, inputs, states)?;
        match planned.route(&self.resources, &mut inputs).await? {
            Route::Stages(stages) => {
                let outputs = self.walk(&stages, &inputs).await?;
                self.keep(&planned.graph, outputs.into_iter().map(Some).collect(), states).await
            }
            Route::Plan(loaded, ends) => {
                let (plan, written) = (loaded.plan(), planned.graph.written_states());
                let given = given(&ends, &inputs).into_iter().filter(|(id, _)| !is_read(plan, *id));
                let mut values = Values::new(&plan.graph, given);
                let stays = |state: &Option<usize>| state.is_some_and(|state| stays(plan, planned.graph.states()[state].input));
                let keep = written.iter().any(|state| state.is_some() && !stays(state));
                execute(&loaded, &mut values, self.recorder, keep, Some(states)).await?;
                let outputs = ends.outputs.iter().zip(&written).map(|(output, state)| match stays(state) {
                    true => Ok(None),
                    false => output.try_map(|id| loaded.output(&values, *id)).map(Some),
                });
                let returned = self.keep(&planned.graph, outputs.collect::<Result<_>>()?, states).await?;
                states.flip(plan)?;
                Ok(returned)
            }
        }
    }

    /// Sorts outputs into those that a run returns, and those that states hold from now on; one that is left out is held already.
    async fn keep(
        &self,
        graph: &Graph,
        outputs: Vec<Option<Structure<Held<'_>>>>,
        states: &mut StateBuffers,
    ) -> Result<Vec<Structure<Tensor>>> {
        let (mut returned, mut kept) = (Vec::new(), Vec::new());
        for (output, state) in outputs.iter().zip(graph.written_states()) {
            let Some(output) = output else { continue };
            let Some(state) = state.and_then(|state| graph.states().get(state)) else {
                returned.push(self.fetched(output).await?);
                continue;
            };
            let held = output.tensor()?;
            state.accepts(graph.state_input(state)?, &held.ty())?;
            kept.push((state.input, held.clone()));
        }
        states.store(&kept, self.resources.gpu, self.resources.tally).await?;
        Ok(returned)
    }
}
