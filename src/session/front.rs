//! A model ready to run, as callers see it. Other rooms add the calls that are theirs.

use super::data::Outputs;
use super::data::inputs::{InputInfo, with_defaults};
use super::options::Options;
use super::runtime::Runtime;
use crate::error::Result;
use crate::gpu::{Counters, Gpu, Opaque, Tally, boxed};
use crate::graph::{Model, Structure, ValueId};
use crate::tensor::TensorView;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A model ready to run. It can be used from several threads at once.
pub struct Session {
    model: Model,
    options: Options,
    tally: Arc<Tally>,
    /// What states know the session by.
    identity: Arc<()>,
    defaults: Vec<InputInfo>,
    /// For runs that leave out every input with a default.
    plain: Opaque<Runtime>,
    /// For runs that give inputs with defaults, by which of them.
    replacing: Mutex<HashMap<Vec<ValueId>, Opaque<Runtime>>>,
}

impl Session {
    /// Prepares a model for a GPU. Plans are made by the first run of each combination of input shapes.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for a tap that names no value.
    pub async fn new(gpu: &Gpu, model: &Model, options: Options) -> Result<Session> {
        Self::build(Some(gpu), model, options)
    }

    /// [`new`](Session::new), blocking.
    ///
    /// # Errors
    /// As `new`.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn new_blocking(gpu: &Gpu, model: &Model, options: Options) -> Result<Session> {
        Self::build(Some(gpu), model, options)
    }

    /// Runs a model by the operators' references on the CPU: slow, and right.
    ///
    /// # Errors
    /// As [`new`](Session::new).
    pub fn cpu(model: &Model, options: Options) -> Result<Session> {
        Self::build(None, model, options)
    }

    fn build(gpu: Option<&Gpu>, model: &Model, options: Options) -> Result<Session> {
        let tally = Arc::<Tally>::default();
        let plain = Opaque::new(Runtime::new(gpu, model, &options, tally.clone())?);
        let (model, defaults) = (model.clone(), with_defaults(model.graph()));
        Ok(Session { model, options, tally, identity: Arc::default(), defaults, plain, replacing: Mutex::default() })
    }

    /// A session on a GPU, or by references where there is none.
    ///
    /// # Errors
    /// As [`new`](Session::new).
    pub(crate) fn on(gpu: Option<&Gpu>, model: &Model, options: Options) -> Result<Session> {
        Self::build(gpu, model, options)
    }

    /// A session for another model, whose graph has this one's states, by the same values: runs of both take the same.
    ///
    /// # Errors
    /// As [`new`](Session::new).
    pub(crate) fn sharing_states(&self, model: &Model) -> Result<Session> {
        let session = Self::build(self.plain.gpu().as_ref(), model, self.options.clone())?;
        Ok(Session { identity: self.identity.clone(), ..session })
    }

    /// The model's inputs that a run must give, in order.
    pub fn inputs(&self) -> &[InputInfo] {
        &self.plain.inputs
    }

    /// The model's inputs that a run may leave out, since they have a default. Runs that give other sets of them have plans of their
    /// own.
    pub fn defaults(&self) -> &[InputInfo] {
        &self.defaults
    }

    /// Names of what a run returns: the model's outputs, then the taps.
    pub fn outputs(&self) -> Vec<String> {
        self.plain.output_names()
    }

    /// How many objects this session made so far.
    pub fn counters(&self) -> Counters {
        self.tally.read()
    }

    /// Whether the device that runs use no longer answers. The next run opens it again, and [`reopen`](Session::reopen) does.
    pub fn is_lost(&self) -> bool {
        self.plain.is_lost()
    }

    /// Opens the device again if it was lost, so that the next run need not; whether it was. What states held there stays lost.
    ///
    /// # Errors
    /// [`NoAdapter`](crate::ErrorKind::NoAdapter) where it cannot be opened; [`DeviceLost`](crate::ErrorKind::DeviceLost) for a device of the
    /// caller's own.
    pub async fn reopen(&self) -> Result<bool> {
        boxed(self.plain.reopen()).await
    }

    /// [`reopen`](Session::reopen), blocking.
    ///
    /// # Errors
    /// As `reopen`.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn reopen_blocking(&self) -> Result<bool> {
        crate::gpu::block_on(self.reopen())
    }

    /// What runs that leave out every input with a default are done by.
    pub(crate) fn plain(&self) -> &Runtime {
        &self.plain
    }

    pub(crate) fn identity(&self) -> &Arc<()> {
        &self.identity
    }

    /// What runs with inputs of these names are done by.
    pub(crate) fn runtime<'a>(&self, names: impl Iterator<Item = &'a str>) -> Result<Opaque<Runtime>> {
        if self.defaults.is_empty() {
            return Ok(self.plain.clone());
        }
        let graph = self.model.graph();
        let default = |name: &str| graph.defaults().iter().map(|d| d.input.value).find(|id| graph.value(*id).name == name);
        let mut given: Vec<ValueId> = names.filter_map(default).collect();
        given.sort_unstable();
        given.dedup();
        if given.is_empty() {
            return Ok(self.plain.clone());
        }
        let mut runtimes = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = runtimes.get(&given) {
            return Ok(found.clone());
        }
        let model = Model::from_graph(graph.requiring(&given));
        let runtime = Runtime::new(self.plain.gpu().as_ref(), &model, &self.options, self.tally.clone())?;
        Ok(runtimes.entry(given).or_insert(Opaque::new(runtime)).clone())
    }

    /// Runs the model. On native targets, polling the future waits for the device; in a browser it does not block.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) naming the input, what was expected and what was found; what
    /// operators and the device report; [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for a model with states, which
    /// [`run_with`](Session::run_with) runs.
    pub async fn run(&self, inputs: &[(&str, TensorView<'_>)]) -> Result<Outputs> {
        let runtime = self.runtime(inputs.iter().map(|(name, _)| *name))?;
        boxed(runtime.outputs(inputs)).await
    }

    /// [`run`](Session::run), blocking.
    ///
    /// # Errors
    /// As `run`.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn run_blocking(&self, inputs: &[(&str, TensorView<'_>)]) -> Result<Outputs> {
        crate::gpu::block_on(self.run(inputs))
    }
}

/// Runs on sequences and optionals.
impl Session {
    /// Runs a model some of whose inputs are sequences of tensors. An optional input is left out, given as
    /// [`Absent`](Structure::Absent), or given as what it holds. [`Outputs::structure`] gives outputs that are no tensors.
    ///
    /// # Errors
    /// As [`run`](Session::run).
    pub async fn run_structures(&self, inputs: &[(&str, Structure<TensorView<'_>>)]) -> Result<Outputs> {
        let runtime = self.runtime(inputs.iter().map(|(name, _)| *name))?;
        boxed(runtime.outputs_of(inputs)).await
    }

    /// [`run_structures`](Session::run_structures), blocking.
    ///
    /// # Errors
    /// As `run_structures`.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn run_structures_blocking(&self, inputs: &[(&str, Structure<TensorView<'_>>)]) -> Result<Outputs> {
        crate::gpu::block_on(self.run_structures(inputs))
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.model.graph().name();
        match self.plain.gpu() {
            Some(gpu) => write!(f, "Session({name} on {})", gpu.caps()),
            None => write!(f, "Session({name} on the CPU)"),
        }
    }
}
