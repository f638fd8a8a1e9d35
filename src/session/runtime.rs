//! One graph with settled inputs, ready to run on a device or on the host.

use super::data::Outputs;
use super::data::inputs::{self, InputInfo};
use super::device::{DeviceSlot, DeviceState};
use super::execution::reference;
use super::options::Options;
use super::planning::choices::ChoiceStore;
use super::resources::Resources;
use super::stages::runner::Runner;
use super::timing::recorder::Recorder;
use crate::error::{Error, Result};
use crate::gpu::{Gpu, Opaque, Tally};
use crate::graph::{Graph, Model};
use crate::kernel::Caps;
use crate::tensor::{DType, Tensor, TensorView};
use std::sync::Arc;

/// A model of which every input must be given, with what is kept for its runs.
pub(crate) struct Runtime {
    pub model: Model,
    /// The model's graph with taps as outputs.
    pub graph: Arc<Graph>,
    pub inputs: Vec<InputInfo>,
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
            options: options.clone(),
            choices: ChoiceStore::new(options),
            tally,
            device: gpu.map(|gpu| DeviceSlot::new(gpu.clone(), graph.clone())),
            graph,
        })
    }

    /// Names of what a run returns: the model's outputs, then the taps.
    pub(crate) fn output_names(&self) -> Vec<String> {
        self.graph.outputs().iter().map(|id| self.graph.value(*id).name.clone()).collect()
    }

    pub(crate) fn device(&self) -> Option<Opaque<DeviceState>> {
        self.device.as_ref().map(DeviceSlot::current)
    }

    /// The device, for what cannot be done without one.
    pub(crate) fn need_device(&self, what: &str) -> Result<Opaque<DeviceState>> {
        self.device().ok_or_else(|| Error::unsupported(format!("{what} needs a GPU, and this session runs on the CPU")))
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
    pub(crate) fn ordered<'a>(&self, inputs: &[(&str, TensorView<'a>)]) -> Result<Vec<TensorView<'a>>> {
        let given: Vec<(&str, DType, &[usize])> = inputs.iter().map(|(name, view)| (*name, view.dtype(), view.shape())).collect();
        Ok(inputs::matched(&self.inputs, &given)?.into_iter().map(|k| inputs[k].1).collect())
    }

    /// The outputs for these inputs by name.
    pub(crate) async fn outputs(&self, inputs: &[(&str, TensorView<'_>)]) -> Result<Outputs> {
        let views = self.ordered(inputs)?;
        let tensors = match self.device() {
            Some(device) => self.compute(device, &views, None).await?,
            None => reference::outputs(&self.graph, &views.iter().map(TensorView::to_tensor).collect::<Vec<_>>())?,
        };
        Ok(Outputs { entries: self.output_names().into_iter().zip(tensors).collect() })
    }

    /// The outputs for these inputs, computed on the device; once more on a fresh one when it was lost.
    pub(crate) async fn compute(
        &self,
        device: Opaque<DeviceState>,
        inputs: &[TensorView<'_>],
        recorder: Option<&Recorder>,
    ) -> Result<Vec<Tensor>> {
        let runner = Runner { resources: self.resources(&device), recorder };
        let result = runner.tensors(&device.planned, inputs).await;
        let Some(slot) = self.device.as_ref().filter(|_| result.is_err() && device.gpu.is_lost()) else { return result };
        let fresh = slot.replace(&device).await?;
        log::warn!("the device was lost; running again on a fresh one");
        let runner = Runner { resources: self.resources(&fresh), recorder };
        runner.tensors(&fresh.planned, inputs).await
    }
}

/// The graph with taps as outputs.
fn tapped(graph: &Graph, options: &Options) -> Result<Graph> {
    let mut result = graph.clone();
    if options.keep_all {
        let made = graph.nodes().iter().flat_map(|n| n.outputs.iter().flatten());
        result.outputs.extend(made.filter(|id| !graph.outputs().contains(id)));
    }
    for name in &options.taps {
        let id = graph
            .find(name)
            .ok_or_else(|| Error::invalid_argument(format!("tap `{name}`: the model has no value of that name")))?;
        if !result.outputs.contains(&id) {
            result.outputs.push(id);
        }
    }
    Ok(result)
}
