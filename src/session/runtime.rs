//! One graph with settled inputs, ready to run on a device or on the host.

use super::data::Outputs;
use super::data::held::Held;
use super::data::inputs::{self, Given, InputInfo};
use super::device::{DeviceSlot, DeviceState};
use super::execution::reference;
use super::execution::state_buffers::StateBuffers;
use super::options::Options;
use super::planning::choices::ChoiceStore;
use super::resources::Resources;
use super::stages::runner::Runner;
use super::stages::states::all_inputs;
use super::timing::recorder::Recorder;
use crate::error::{Error, Result};
use crate::gpu::{Gpu, Opaque, Tally};
use crate::graph::{Graph, Model, Structure, ValueId};
use crate::kernel::Caps;
use crate::tensor::{Tensor, TensorView};
use std::sync::Arc;

/// An input of a run with its name.
pub(crate) type Named<'n, 'a> = (&'n str, Structure<TensorView<'a>>);

/// A model of which every input must be given, with what is kept for its runs.
pub(crate) struct Runtime {
    pub model: Model,
    /// The model's graph with taps as outputs.
    pub graph: Arc<Graph>,
    pub inputs: Vec<InputInfo>,
    pub states: Vec<InputInfo>,
    pub options: Options,
    pub choices: ChoiceStore,
    pub tally: Arc<Tally>,
    /// `None` runs on the host.
    device: Option<DeviceSlot>,
}

impl Runtime {
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for a tap that names no value.
    pub(crate) fn new(gpu: Option<&Gpu>, model: &Model, options: &Options, tally: Arc<Tally>) -> Result<Self> {
        let graph = Arc::new(tapped(model.graph(), options)?);
        Ok(Runtime {
            model: model.clone(),
            inputs: inputs::declared(&graph),
            states: inputs::states(&graph)?,
            options: options.clone(),
            choices: ChoiceStore::new(options),
            tally,
            device: gpu.map(|gpu| DeviceSlot::new(gpu.clone(), graph.clone())),
            graph,
        })
    }

    /// Names of what a run returns: the model's outputs, then the taps.
    pub(crate) fn output_names(&self) -> Vec<String> {
        let returned = self.graph.outputs().iter().zip(self.graph.written_states()).filter(|(_, state)| state.is_none());
        returned.map(|(id, _)| self.graph.value(*id).name.clone()).collect()
    }

    pub(crate) fn device(&self) -> Option<Opaque<DeviceState>> {
        self.device.as_ref().map(DeviceSlot::current)
    }

    /// The device, for what cannot be done without one.
    pub(crate) fn need_device(&self, what: &str) -> Result<Opaque<DeviceState>> {
        self.device().ok_or_else(|| Error::unsupported(format!("{what} needs a GPU, and this session runs on the CPU")))
    }

    /// Whether the device no longer answers.
    pub(crate) fn is_lost(&self) -> bool {
        self.device().is_some_and(|device| device.gpu.is_lost())
    }

    /// Opens the device again if it was lost; whether it was.
    pub(crate) async fn reopen(&self) -> Result<bool> {
        let lost = self.device().filter(|device| device.gpu.is_lost());
        let Some((slot, device)) = self.device.as_ref().zip(lost) else { return Ok(false) };
        slot.replace(&device).await.map(|_| true)
    }

    pub(crate) fn gpu(&self) -> Option<Gpu> {
        self.device().map(|device| device.gpu.clone())
    }

    /// What the graph is planned for; without a device, WebGPU's guaranteed limits.
    pub(crate) fn caps(&self) -> Caps {
        self.device().map_or_else(Caps::portable, |device| device.gpu.caps().clone())
    }

    pub(crate) fn resources<'a>(&'a self, device: &'a DeviceState) -> Resources<'a> {
        let DeviceState { gpu, weights, .. } = device;
        Resources { gpu, weights, choices: &self.choices, options: &self.options, tally: &self.tally }
    }

    /// The inputs in the model's order, after a check.
    pub(crate) fn ordered<'a>(&self, inputs: &[(&str, TensorView<'a>)]) -> Result<Vec<Structure<TensorView<'a>>>> {
        self.ordered_structures(&named(inputs))
    }

    /// [`ordered`](Self::ordered), of inputs that may be no tensors.
    fn ordered_structures<'a>(&self, inputs: &[Named<'_, 'a>]) -> Result<Vec<Structure<TensorView<'a>>>> {
        ordered(&self.inputs, inputs)
    }

    /// The outputs for these inputs by name, of a model without states.
    pub(crate) async fn outputs(&self, inputs: &[(&str, TensorView<'_>)]) -> Result<Outputs> {
        self.outputs_of(&named(inputs)).await
    }

    /// [`outputs`](Self::outputs), of inputs that may be no tensors.
    pub(crate) async fn outputs_of(&self, inputs: &[Named<'_, '_>]) -> Result<Outputs> {
        self.need_none_of_states()?;
        self.outputs_with(inputs, &mut StateBuffers::of(&self.graph)?).await
    }

    /// A check for what is done without states.
    pub(crate) fn need_none_of_states(&self) -> Result<()> {
        match self.states.first() {
            None => Ok(()),
            Some(state) => {
                let message =
                    format!("the model has states (`{}`): make some by Session::state, and run it by run_with", state.name);
                Err(Error::invalid_argument(message))
            }
        }
    }

    /// The outputs for these inputs by name; states hold what they become.
    pub(crate) async fn outputs_with(&self, inputs: &[Named<'_, '_>], states: &mut StateBuffers) -> Result<Outputs> {
        let views = self.ordered_structures(inputs)?;
        states.settle();
        self.check_together(inputs, states)?;
        let values = match self.device() {
            Some(device) => self.compute_with(device, &views, states, None).await?,
            None => self.on_host(&views, states)?,
        };
        Ok(Outputs { entries: self.output_names().into_iter().zip(values).collect() })
    }

    /// Inputs and what states hold, in the model's order, after a check.
    pub(crate) fn ordered_with_states<'a>(&self, inputs: &[(&str, TensorView<'a>)]) -> Result<Vec<Structure<TensorView<'a>>>> {
        ordered(&inputs::with_states(&self.graph), &named(inputs))
    }

    /// What those states hold before the first run that are not among these inputs, by the names of their inputs.
    pub(crate) fn starts(&self, inputs: &[(&str, TensorView<'_>)]) -> Result<Vec<(String, Tensor)>> {
        let mut starts = Vec::new();
        for state in self.graph.states() {
            let name = &self.graph.value(state.input).name;
            let start = state.start(self.graph.state_input(state)?);
            starts.extend(start.filter(|_| inputs.iter().all(|(given, _)| given != name)).map(|tensor| (name.clone(), tensor)));
        }
        Ok(starts)
    }

    /// All outputs for these inputs by name, of which some are what states hold before the run; what they hold afterwards is among the outputs.
    pub(crate) async fn all_outputs(&self, inputs: &[(&str, TensorView<'_>)]) -> Result<Outputs> {
        let mut states = StateBuffers::of(&self.graph)?;
        let mut rest = inputs.to_vec();
        for state in self.graph.states() {
            let place = rest.iter().position(|(name, _)| *name == self.graph.value(state.input).name);
            states.set(state.input, place.map(|place| rest.remove(place).1.to_tensor()))?;
        }
        let mut outputs = self.outputs_with(&named(&rest), &mut states).await?;
        for state in self.graph.states() {
            let held = states.held(state.input)?;
            let tensor = match (held.on_host(), states.device()) {
                (None, Some(gpu)) => held.tensor(gpu, &self.tally).await?,
                (view, _) => view.as_ref().map(TensorView::to_tensor).ok_or_else(missing)?,
            };
            outputs.entries.push((self.graph.value(state.output).name.clone(), Structure::Tensor(tensor)));
        }
        Ok(outputs)
    }

    /// What states hold must fit the extents that they share with inputs.
    fn check_together(&self, inputs: &[Named<'_, '_>], states: &StateBuffers) -> Result<()> {
        let held = self.graph.states().iter().map(|state| states.held(state.input)).collect::<Result<Vec<_>>>()?;
        let types: Vec<_> = held.iter().map(Held::ty).collect();
        let names = self.graph.states().iter().map(|state| self.graph.value(state.input).name.as_str());
        let mut given: Vec<Given<'_>> =
            names.zip(&types).map(|(name, ty)| (name, Structure::Tensor((ty.dtype, &*ty.shape)))).collect();
        if !given.is_empty() {
            given.extend(types_of(inputs));
            inputs::matched(&inputs::with_states(&self.graph), &given)?;
        }
        Ok(())
    }

    /// The outputs of a run by the references.
    fn on_host(&self, inputs: &[Structure<TensorView<'_>>], states: &mut StateBuffers) -> Result<Vec<Structure<Tensor>>> {
        let graph = &self.graph;
        let inputs = all_inputs(graph, inputs, states)?;
        let host = |held: &Held<'_>| held.on_host().as_ref().map(TensorView::to_tensor).ok_or_else(missing);
        let inputs = inputs.iter().map(|input| input.try_map(host)).collect::<Result<Vec<_>>>()?;
        let outputs = reference::outputs(graph, &inputs, self.options.max_turns)?;
        let (mut returned, mut kept) = (Vec::new(), Vec::new());
        for (output, state) in outputs.into_iter().zip(graph.written_states()) {
            let Some(state) = state.and_then(|state| graph.states().get(state)) else {
                returned.push(output);
                continue;
            };
            let tensor = output.tensor()?;
            state.accepts(graph.state_input(state)?, tensor.ty())?;
            kept.push((state.input, tensor.clone()));
        }
        states.run += 1;
        kept.into_iter().try_for_each(|(input, tensor)| states.set(input, Some(tensor)))?;
        Ok(returned)
    }

    /// The outputs for these inputs, computed on the device with states as they are before the first run.
    pub(crate) async fn compute(
        &self,
        device: Opaque<DeviceState>,
        inputs: &[Structure<TensorView<'_>>],
        recorder: Option<&Recorder>,
    ) -> Result<Vec<Structure<Tensor>>> {
        self.compute_with(device, inputs, &mut StateBuffers::of(&self.graph)?, recorder).await
    }

    /// The outputs for these inputs, computed on the device; once more on a fresh one when it was lost, unless states were lost with it.
    async fn compute_with(
        &self,
        device: Opaque<DeviceState>,
        inputs: &[Structure<TensorView<'_>>],
        states: &mut StateBuffers,
        recorder: Option<&Recorder>,
    ) -> Result<Vec<Structure<Tensor>>> {
        states.run += 1;
        let runner = Runner { resources: self.resources(&device), recorder };
        let result = runner.values(&device.planned, inputs, states).await;
        let Some(slot) = self.device.as_ref().filter(|_| result.is_err() && device.gpu.is_lost()) else { return result };
        states.settle();
        let fresh = slot.replace(&device).await?;
        self.graph.states().iter().try_for_each(|state| states.held(state.input).map(|_| ()))?;
        log::warn!("the device was lost; running again on a fresh one");
        let runner = Runner { resources: self.resources(&fresh), recorder };
        runner.values(&fresh.planned, inputs, states).await
    }
}

/// Tensors as values that may be none.
pub(crate) fn named<'n, 'a>(inputs: &[(&'n str, TensorView<'a>)]) -> Vec<Named<'n, 'a>> {
    inputs.iter().map(|(name, view)| (*name, Structure::Tensor(*view))).collect()
}

/// Names and types of inputs.
fn types_of<'g>(inputs: &'g [Named<'_, '_>]) -> impl Iterator<Item = Given<'g>> {
    inputs.iter().map(|(name, structure)| (*name, structure.map(|view| (view.dtype(), view.shape()))))
}

/// The inputs in the order in which they are declared, after a check.
fn ordered<'a>(declared: &[InputInfo], inputs: &[Named<'_, 'a>]) -> Result<Vec<Structure<TensorView<'a>>>> {
    let at = |place: Option<usize>| place.map_or(Structure::Absent, |k| inputs[k].1.clone());
    Ok(inputs::matched(declared, &types_of(inputs).collect::<Vec<_>>())?.into_iter().map(at).collect())
}

fn missing() -> Error {
    Error::internal("a run by the references has a tensor that is not on the host")
}

/// The graph with taps as outputs, before those that are for states alone.
fn tapped(graph: &Graph, options: &Options) -> Result<Graph> {
    let ends = graph.outputs().iter().zip(graph.written_states());
    let (states, returned): (Vec<_>, Vec<_>) = ends.partition(|(_, state)| state.is_some());
    let mut outputs: Vec<ValueId> = returned.into_iter().map(|(id, _)| *id).collect();
    if options.keep_all {
        let made = graph.nodes().iter().flat_map(|n| n.outputs.iter().flatten());
        let more: Vec<ValueId> = made.filter(|id| !outputs.contains(id)).copied().collect();
        outputs.extend(more);
    }
    for name in &options.taps {
        let id = graph
            .find(name)
            .ok_or_else(|| Error::invalid_argument(format!("tap `{name}`: the model has no value of that name")))?;
        if !outputs.contains(&id) {
            outputs.push(id);
        }
    }
    outputs.extend(states.into_iter().map(|(id, _)| *id));
    Ok(Graph { outputs, ..graph.clone() })
}
