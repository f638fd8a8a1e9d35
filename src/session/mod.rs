//! Floor 7: running models. A [`Session`] holds a model's plans by input shapes, and runs them.

mod convert;
mod explain;
mod foresee;
mod host;
mod inputs;
mod outputs;
mod prepared;
mod profile;
mod resident;
mod split;
mod suspect;
mod tuner;
mod unit;
mod validate;
mod weights;

pub use explain::{ExplainedHostNode, ExplainedStep, Explanation};
pub use foresee::Known;
pub use inputs::InputInfo;
pub use outputs::Outputs;
pub use profile::{Profile, Timing};
pub use resident::GpuOutputs;
pub use tuner::Tuning;
pub use validate::{Suspect, Tolerance, Validation, ValueReport};

use crate::error::{Error, Result};
use crate::gpu::{CacheFolder, Clock, Counters, Gpu, Progress, Tally};
use crate::graph::{Graph, Model, ValueId, evaluate};
use crate::passes::Selection;
use crate::tensor::{DType, Tensor, TensorView};
use profile::Recorder;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use suspect::Trial;
use tuner::Tuner;
use unit::{Context, Entry, Unit};
use weights::Weights;

/// How a session runs its model.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Compile kernels with run-time checks of every index, and with zeros in workgroup memory at first.
    pub checked: bool,
    /// A node that would run on the host is an error.
    pub strict_gpu: bool,
    /// Names of intermediate values to return beside the outputs.
    pub taps: Vec<String>,
    /// Return every intermediate value, and fuse nothing.
    pub keep_all: bool,
    /// Name of the kernel variant to take wherever it is offered.
    pub variant: Option<String>,
    /// Whether variants are chosen by measurement.
    pub tuning: Tuning,
    /// Where measurements and compiled kernels are kept from one program to the next.
    pub cache: CacheFolder,
    /// Who is told of kernels as they are compiled and first dispatched.
    pub progress: Progress,
    /// Which passes over the graph run, and which of the caller's own.
    pub passes: Selection,
}

/// A model ready to run. It can be used from several threads at once.
pub struct Session {
    model: Model,
    /// The model's graph with taps as outputs.
    graph: Arc<Graph>,
    inputs: Vec<InputInfo>,
    defaults: Vec<InputInfo>,
    /// Sessions for runs that give inputs that have defaults, by which of them.
    replaced: Mutex<HashMap<Vec<ValueId>, Arc<Session>>>,
    options: Options,
    tally: Arc<Tally>,
    tuner: Tuner,
    /// `None` runs on the host.
    device: Option<RwLock<Arc<Device>>>,
}

/// A device with what the session keeps on it; replaced as a whole when the device is lost.
struct Device {
    gpu: Gpu,
    weights: Weights,
    unit: Unit,
}

impl Device {
    fn new(gpu: Gpu, graph: &Arc<Graph>) -> Arc<Device> {
        Arc::new(Device { gpu, weights: Weights::default(), unit: Unit::new(graph.clone()) })
    }
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
        let graph = Arc::new(tapped(model.graph(), &options)?);
        let device = gpu.map(|gpu| RwLock::new(Device::new(gpu.clone(), &graph)));
        let (inputs, tuner) = (inputs::declared(&graph), Tuner::new(&options));
        let (model, defaults, replaced) = (model.clone(), inputs::with_defaults(&graph), Mutex::default());
        Ok(Session { model, inputs, defaults, replaced, graph, options, tally: Arc::default(), tuner, device })
    }

    /// The model's inputs that a run must give, in order.
    pub fn inputs(&self) -> &[InputInfo] {
        &self.inputs
    }

    /// The model's inputs that a run may leave out, since they have a default. Runs that give other sets of them have plans of their
    /// own.
    pub fn defaults(&self) -> &[InputInfo] {
        &self.defaults
    }

    /// The session for a run that gives these inputs, where there are some among them that have a default.
    fn replacing<'a>(&self, names: impl Iterator<Item = &'a str>) -> Result<Option<Arc<Session>>> {
        if self.defaults.is_empty() {
            return Ok(None);
        }
        let graph = self.model.graph();
        let default = |name: &str| graph.defaults().iter().map(|d| d.input.value).find(|id| graph.value(*id).name == name);
        let mut given: Vec<ValueId> = names.filter_map(default).collect();
        given.sort_unstable();
        given.dedup();
        if given.is_empty() {
            return Ok(None);
        }
        let mut sessions = self.replaced.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = sessions.get(&given) {
            return Ok(Some(found.clone()));
        }
        let model = Model::from_graph(graph.requiring(&given));
        let gpu = self.device().map(|device| device.gpu.clone());
        let session = Session { tally: self.tally.clone(), ..Session::build(gpu.as_ref(), &model, self.options.clone())? };
        Ok(Some(sessions.entry(given).or_insert(Arc::new(session)).clone()))
    }

    /// Names of what a run returns: the model's outputs, then the taps.
    pub fn outputs(&self) -> Vec<String> {
        self.graph.outputs().iter().map(|id| self.graph.value(*id).name.clone()).collect()
    }

    /// How many objects this session made so far.
    pub fn counters(&self) -> Counters {
        self.tally.read()
    }

    fn device(&self) -> Option<Arc<Device>> {
        self.device.as_ref().map(|lock| lock.read().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn context<'a>(&'a self, device: &'a Device, recorder: Option<&'a Recorder>) -> Context<'a> {
        Context {
            gpu: &device.gpu,
            weights: &device.weights,
            tally: &self.tally,
            options: &self.options,
            tuner: &self.tuner,
            recorder,
        }
    }

    /// Runs the model. On native targets, polling the future waits for the device; in a browser it does not block.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) naming the input, what was expected and what was found; what
    /// operators and the device report.
    pub async fn run(&self, inputs: &[(&str, TensorView<'_>)]) -> Result<Outputs> {
        if let Some(session) = self.replacing(inputs.iter().map(|(name, _)| *name))? {
            return Box::pin(session.run(inputs)).await;
        }
        let views = self.ordered(inputs)?;
        let tensors = match self.device() {
            Some(device) => self.run_on(device, &views, None).await?,
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

    /// The inputs in the model's order, after a check.
    fn ordered<'a>(&self, inputs: &[(&str, TensorView<'a>)]) -> Result<Vec<TensorView<'a>>> {
        let given: Vec<(&str, DType, &[usize])> = inputs.iter().map(|(name, view)| (*name, view.dtype(), view.shape())).collect();
        Ok(inputs::matched(&self.inputs, &given)?.into_iter().map(|k| inputs[k].1).collect())
    }

    /// Runs on the device; once more on a fresh one when it was lost.
    async fn run_on(&self, device: Arc<Device>, inputs: &[TensorView<'_>], recorder: Option<&Recorder>) -> Result<Vec<Tensor>> {
        let result = device.unit.run(&self.context(&device, recorder), inputs).await;
        if result.is_ok() || !device.gpu.is_lost() {
            return result;
        }
        let fresh = self.reopen(&device).await?;
        log::warn!("the device was lost; running again on a fresh one");
        fresh.unit.run(&self.context(&fresh, recorder), inputs).await
    }

    /// Replaces a lost device; the weights are uploaded again from the host.
    async fn reopen(&self, lost: &Arc<Device>) -> Result<Arc<Device>> {
        let fresh = Device::new(lost.gpu.replacement().await?, &self.graph);
        let Some(lock) = &self.device else { return Ok(fresh) };
        let mut current = lock.write().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&current, lost) {
            *current = fresh;
        }
        Ok(current.clone())
    }

    fn run_on_host(&self, inputs: &[TensorView<'_>]) -> Result<Vec<Tensor>> {
        host::run(&self.graph, &inputs.iter().map(TensorView::to_tensor).collect::<Vec<_>>())
    }

    /// Holds a run against the references: every intermediate value of a run that fuses nothing, and the outputs of the
    /// run as it is.
    ///
    /// # Errors
    /// As [`run`](Session::run).
    pub async fn validate(&self, inputs: &[(&str, TensorView<'_>)], tolerance: Tolerance) -> Result<Validation> {
        if let Some(session) = self.replacing(inputs.iter().map(|(name, _)| *name))? {
            return Box::pin(session.validate(inputs, tolerance)).await;
        }
        let views = self.ordered(inputs)?;
        let tensors: Vec<Tensor> = views.iter().map(TensorView::to_tensor).collect();
        let graph = self.model.graph();
        let expected = evaluate(graph, &tensors)?;
        let options = Options { keep_all: true, taps: vec![], ..self.options.clone() };
        let gpu = self.device().map(|d| d.gpu.clone());
        let kept = Session::build(gpu.as_ref(), &self.model, options)?.run(inputs).await?;
        let kept = kept.iter().map(|(name, tensor)| (name.to_string(), tensor.clone())).collect();
        let values = validate::report(graph, &kept, &expected, tolerance);
        let trial = Trial { session: self, inputs, expected: host::run(graph, &tensors)?, tolerance };
        let outputs = trial.outputs(self).await?;
        let mut validation = Validation { values, outputs, suspect: None };
        if validation.first_divergent().is_none() && !validation.passed() {
            validation.suspect = trial.suspect(&tensors).await?;
        }
        Ok(validation)
    }

    /// [`validate`](Session::validate), blocking.
    ///
    /// # Errors
    /// As `validate`.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn validate_blocking(&self, inputs: &[(&str, TensorView<'_>)], tolerance: Tolerance) -> Result<Validation> {
        crate::gpu::block_on(self.validate(inputs, tolerance))
    }

    /// Runs the model `repeat` times and takes the time of every dispatch.
    ///
    /// # Errors
    /// As [`run`](Session::run); [`Unsupported`](crate::ErrorKind::Unsupported) on the CPU, and where the adapter cannot
    /// write timestamps inside a pass.
    pub async fn profile(&self, inputs: &[(&str, TensorView<'_>)], repeat: usize) -> Result<Profile> {
        if let Some(session) = self.replacing(inputs.iter().map(|(name, _)| *name))? {
            return Box::pin(session.profile(inputs, repeat)).await;
        }
        let views = self.ordered(inputs)?;
        let device = self.device().ok_or_else(|| Error::unsupported("profiling needs a GPU, and this session runs on the CPU"))?;
        let caps = device.gpu.caps();
        if !caps.timestamps {
            return Err(Error::unsupported(format!("{caps} cannot write timestamps inside a pass, so dispatches cannot be timed")));
        }
        // The first run compiles.
        self.run_on(device.clone(), &views, None).await?;
        let (mut runs, mut walls) = (Vec::new(), Vec::new());
        // The first round warms up.
        for round in 0..=repeat.max(1) {
            let recorder = Recorder::default();
            self.run_on(device.clone(), &views, Some(&recorder)).await?;
            let clock = Clock::start();
            self.run_on(device.clone(), &views, None).await?;
            if round > 0 {
                walls.push(clock.map_or(f64::NAN, |clock| clock.microseconds()));
                runs.push(recorder.take());
            }
        }
        Ok(Profile {
            adapter: caps.to_string(),
            dispatches: profile::merge(&runs),
            totals: profile::totals(&runs),
            wall_microseconds: profile::median(walls),
            repeat: runs.len(),
        })
    }

    /// Records the commands of a run like this one and forgets them: what a run costs the CPU per dispatch, without the
    /// device's own time. Returns the number of dispatches.
    ///
    /// # Errors
    /// As [`run`](Session::run); [`Unsupported`](crate::ErrorKind::Unsupported) on the CPU, and for models that run in
    /// stages.
    #[doc(hidden)]
    pub async fn rehearse(&self, inputs: &[(&str, TensorView<'_>)]) -> Result<usize> {
        if let Some(session) = self.replacing(inputs.iter().map(|(name, _)| *name))? {
            return Box::pin(session.rehearse(inputs)).await;
        }
        let views = self.ordered(inputs)?;
        let device = self.device().ok_or_else(|| Error::unsupported("recording needs a GPU, and this session runs on the CPU"))?;
        match device.unit.entry(&self.context(&device, None), &views).await? {
            Entry::Plan(prepared) => prepared.rehearse().await,
            Entry::Split(_) => Err(Error::unsupported("a model that runs in stages has no single recording")),
        }
    }

    /// Runs the dispatches of these inputs `count` times over in one submission, and returns the microseconds that one time
    /// takes on the host's clock: what kernels cost where an adapter has no timestamps. Inputs are uploaded before, once, and
    /// nothing is read back.
    ///
    /// # Errors
    /// As [`rehearse`](Session::rehearse), and in a browser, which lends no clock.
    #[doc(hidden)]
    pub async fn pace(&self, inputs: &[(&str, TensorView<'_>)], count: usize) -> Result<f64> {
        if let Some(session) = self.replacing(inputs.iter().map(|(name, _)| *name))? {
            return Box::pin(session.pace(inputs, count)).await;
        }
        let views = self.ordered(inputs)?;
        let device =
            self.device().ok_or_else(|| Error::unsupported("timing kernels needs a GPU, and this session runs on the CPU"))?;
        // It uploads, compiles and warms up.
        self.run_on(device.clone(), &views, None).await?;
        match device.unit.entry(&self.context(&device, None), &views).await? {
            Entry::Plan(prepared) => prepared.pace(count.max(1)).await,
            Entry::Split(_) => Err(Error::unsupported("a model that runs in stages has no single recording")),
        }
    }

    /// [`pace`](Session::pace), blocking.
    ///
    /// # Errors
    /// As `pace`.
    #[cfg(not(target_arch = "wasm32"))]
    #[doc(hidden)]
    pub fn pace_blocking(&self, inputs: &[(&str, TensorView<'_>)], count: usize) -> Result<f64> {
        crate::gpu::block_on(self.pace(inputs, count))
    }

    /// [`rehearse`](Session::rehearse), blocking.
    ///
    /// # Errors
    /// As `rehearse`.
    #[cfg(not(target_arch = "wasm32"))]
    #[doc(hidden)]
    pub fn rehearse_blocking(&self, inputs: &[(&str, TensorView<'_>)]) -> Result<usize> {
        crate::gpu::block_on(self.rehearse(inputs))
    }

    /// [`profile`](Session::profile), blocking.
    ///
    /// # Errors
    /// As `profile`.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn profile_blocking(&self, inputs: &[(&str, TensorView<'_>)], repeat: usize) -> Result<Profile> {
        crate::gpu::block_on(self.profile(inputs, repeat))
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.device() {
            Some(device) => write!(f, "Session({} on {})", self.graph.name(), device.gpu.caps()),
            None => write!(f, "Session({} on the CPU)", self.graph.name()),
        }
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
