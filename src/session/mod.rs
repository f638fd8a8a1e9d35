//! Floor 7: running models. A [`Session`] holds a model's plans by input shapes, and runs them.

mod convert;
mod inputs;
mod outputs;
mod prepared;
mod unit;
mod weights;

pub use inputs::InputInfo;
pub use outputs::Outputs;

use crate::error::{Error, Result};
use crate::gpu::{Counters, Gpu, Tally};
use crate::graph::{Graph, Model, ValueId, evaluate};
use crate::tensor::{DType, Tensor, TensorView};
use std::sync::Arc;
use unit::{Device, Unit};
use weights::Weights;

/// How a session runs its model.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Compile kernels with run-time checks of every index.
    pub checked: bool,
    /// A node that would run on the host is an error.
    pub strict_gpu: bool,
    /// Names of intermediate values to return beside the outputs.
    pub taps: Vec<String>,
    /// Return every intermediate value, and fuse nothing.
    pub keep_all: bool,
    /// Name of the kernel variant to take wherever it is offered.
    pub variant: Option<String>,
}

/// A model ready to run. It can be used from several threads at once.
pub struct Session {
    graph: Arc<Graph>,
    inputs: Vec<InputInfo>,
    options: Options,
    device: Option<Device>,
    unit: Unit,
}

impl Session {
    /// Prepares a model for a GPU. Plans are made by the first run of each combination of input shapes.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for a tap that names no value.
    pub async fn new(gpu: &Gpu, model: &Model, options: Options) -> Result<Session> {
        let device = Device { gpu: gpu.clone(), weights: Weights::default(), tally: Arc::new(Tally::default()) };
        Self::build(Some(device), model, options)
    }

    /// [`new`](Session::new), blocking.
    ///
    /// # Errors
    /// As `new`.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn new_blocking(gpu: &Gpu, model: &Model, options: Options) -> Result<Session> {
        crate::gpu::block_on(Self::new(gpu, model, options))
    }

    /// Runs a model by the operators' references on the CPU: slow, and right.
    ///
    /// # Errors
    /// As [`new`](Session::new).
    pub fn cpu(model: &Model, options: Options) -> Result<Session> {
        Self::build(None, model, options)
    }

    fn build(device: Option<Device>, model: &Model, options: Options) -> Result<Session> {
        let graph = Arc::new(tapped(model.graph(), &options)?);
        Ok(Session { inputs: inputs::declared(&graph), unit: Unit::new(graph.clone()), graph, options, device })
    }

    /// The model's inputs, in order.
    pub fn inputs(&self) -> &[InputInfo] {
        &self.inputs
    }

    /// Names of what a run returns: the model's outputs, then the taps.
    pub fn outputs(&self) -> Vec<String> {
        self.graph.outputs().iter().map(|id| self.graph.value(*id).name.clone()).collect()
    }

    /// How many objects this session made so far.
    pub fn counters(&self) -> Counters {
        self.device.as_ref().map(|d| d.tally.read()).unwrap_or_default()
    }

    /// Runs the model.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) naming the input, what was expected and what was found; what
    /// operators and the device report.
    pub async fn run(&self, inputs: &[(&str, TensorView<'_>)]) -> Result<Outputs> {
        let given: Vec<(&str, DType, &[usize])> = inputs.iter().map(|(name, view)| (*name, view.dtype(), view.shape())).collect();
        let order = inputs::matched(&self.inputs, &given)?;
        let views: Vec<TensorView<'_>> = order.into_iter().map(|k| inputs[k].1).collect();
        let tensors = match &self.device {
            Some(device) => self.unit.run(device, &self.options, &views).await?,
            None => self.run_on_host(&views)?,
        };
        Ok(Outputs { entries: self.outputs().into_iter().zip(tensors).collect() })
    }

    /// [`run`](Session::run), blocking.
    ///
    /// # Errors
    /// As `run`.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn run_blocking(&self, inputs: &[(&str, TensorView<'_>)]) -> Result<Outputs> {
        crate::gpu::block_on(self.run(inputs))
    }

    fn run_on_host(&self, inputs: &[TensorView<'_>]) -> Result<Vec<Tensor>> {
        let inputs: Vec<Tensor> = inputs.iter().map(TensorView::to_tensor).collect();
        let values = evaluate(&self.graph, &inputs)?;
        let value = |id: &ValueId| values[id.index()].clone().ok_or_else(|| Error::internal("an output was not computed"));
        self.graph.outputs().iter().map(value).collect()
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
