//! From a configuration to a run that can begin: everything that can be wrong before the first step is found here.

use super::configuration::{Configuration, Source};
use super::data::Data;
use super::names::is_of;
use super::{Train, check, data, loss, network, optimizer};
use crate::device::Device;
use crate::failure::Result;
use crate::progress::Watch;
use gristmill::graph::Graph;
use gristmill::train::{self, Guard, Metric, Place, Schedule, Step, StepOptions};
use gristmill::{Explanation, Options};
use indicatif::MultiProgress;
use std::path::PathBuf;

/// A run that can begin.
pub(crate) struct Run {
    pub(crate) source: Source,
    pub(crate) configuration: Configuration,
    /// The network with its loss.
    pub(crate) graph: Graph,
    /// What learns.
    pub(crate) parameters: Vec<String>,
    /// How many parameters stay as they are.
    pub(crate) frozen: usize,
    pub(crate) data: Data,
    pub(crate) device: Device,
    pub(crate) step: Step,
    /// What a step does with the first batch.
    pub(crate) plan: Explanation,
    /// The step that the run ends with.
    pub(crate) steps: u64,
    /// How many steps an epoch has.
    pub(crate) epoch: u64,
    pub(crate) evaluate_every: u64,
    pub(crate) schedule: Schedule,
    /// Where files are written.
    pub(crate) output: PathBuf,
    /// Where progress is shown.
    pub(crate) bars: MultiProgress,
}

impl Run {
    /// Reads and checks everything.
    pub(crate) fn prepare(arguments: &Train) -> Result<Run> {
        let source = Source::load(&arguments.configuration)?;
        let configuration: Configuration = source.parse()?;
        let folder = source.folder();
        let placed = |given: &Option<PathBuf>, said: &Option<PathBuf>| match (given, said) {
            (Some(given), _) => given.clone(),
            (None, Some(said)) => folder.join(said),
            (None, None) => folder.clone(),
        };
        let output = placed(&arguments.output, &configuration.output.folder);

        let network = network::network(&configuration.model, &folder, &source)?;
        let graph = loss::with_loss(&network, &configuration.loss, &source)?;
        let all = train::parameters(&graph, loss::LOSS);
        let count = all.len();
        let parameters = network::learning(all, &configuration.model, &source)?;
        let groups = optimizer::groups(&configuration.optimizer, &parameters, &source)?;
        let training = &configuration.training;
        let metrics = loss::metrics(&training.metrics, &configuration.loss, training.decoded.as_ref(), &source)?;
        evaluable(&configuration, &graph, &source)?;

        let data_folder = placed(&arguments.data, &configuration.data.folder);
        let mut data = data::load(&configuration.data, &data_folder, &graph, &source)?;
        fits(&graph, &mut data, &source)?;
        let (steps, epoch) = steps(&configuration, arguments.steps, &data, &source)?;
        let schedule = optimizer::schedule(&configuration.schedule, steps, &source)?;

        let device = arguments.device.open()?;
        let bars = MultiProgress::new();
        let options = StepOptions {
            groups,
            checkpoints: kept(&graph, &training.recompute, &source)?,
            session: Watch::among(&bars).options(Options::default()),
            ..step_options(&configuration)
        };
        let step = match &device {
            Device::Gpu(gpu) => Step::new(gpu, &graph, options),
            Device::Cpu => Step::cpu(&graph, options),
        };
        let mut step = step.map_err(source.because("optimizer"))?;
        let plan = plan(&step, &graph, &mut data, &configuration.loss.target, &source)?;
        measurable(metrics, &mut step, &graph, &mut data, &source)?;
        Ok(Run {
            frozen: count - parameters.len(),
            evaluate_every: training.evaluate_every.unwrap_or(epoch),
            epoch,
            source,
            configuration,
            graph,
            parameters,
            data,
            device,
            step,
            plan,
            steps,
            schedule,
            output,
            bars,
        })
    }

    /// What a picture of the run is called: the name of its configuration.
    pub(crate) fn title(&self) -> String {
        self.source.name()
    }

    /// How many numbers learn.
    pub(crate) fn numbers(&self) -> usize {
        let of = |name: &String| self.graph.find(name).and_then(|id| self.graph.constant(id)).map_or(0, |held| held.elements());
        self.parameters.iter().map(of).sum()
    }
}

/// What a step is told by numbers alone.
fn step_options(configuration: &Configuration) -> StepOptions {
    StepOptions {
        loss: loss::LOSS.into(),
        groups: vec![],
        clip_norm: configuration.optimizer.clip_norm,
        guard: Guard::default(),
        checkpoints: vec![],
        accumulate: configuration.optimizer.accumulate.unwrap_or(1),
        outputs: vec![],
        seed: configuration.training.seed,
        session: Options::default(),
    }
}

/// Checks what is said of evaluations, logs and checkpoints.
fn evaluable(configuration: &Configuration, graph: &Graph, source: &Source) -> Result<()> {
    let training = &configuration.training;
    if let Some(decoded) = training.decoded.as_ref().filter(|decoded| graph.find(&decoded.value).is_none()) {
        return Err(source.wrong("training.decoded.value", format!("the network has no value `{}`", decoded.value)));
    }
    if !training.metrics.is_empty() && configuration.data.held_out.is_none() {
        return Err(source.wrong("training.metrics", "nothing is held out to be evaluated: expected `data.held_out`"));
    }
    if let Some(stop) = training.early_stop.as_ref().filter(|stop| !training.metrics.contains(&stop.metric)) {
        let message = format!("`{}` is none of `training.metrics`", loss::name_of(stop.metric));
        return Err(source.wrong("training.early_stop.metric", message));
    }
    let keep = configuration.checkpoints.as_ref().map(|table| table.keep as u64);
    let counts = [
        ("training.log_every", training.log_every),
        ("training.evaluate_every", training.evaluate_every),
        ("checkpoints.keep", keep),
        ("optimizer.accumulate", configuration.optimizer.accumulate.map(u64::from)),
        ("data.evaluation_batch_size", configuration.data.evaluation_batch_size.map(|size| size as u64)),
        ("data.batch_size", Some(configuration.data.batch_size as u64)),
    ];
    match counts.into_iter().find(|(_, count)| *count == Some(0)) {
        Some((key, _)) => Err(source.wrong(key, "found 0; expected 1 or more")),
        None => Ok(()),
    }
}

/// Holds the first batches against what the network takes.
fn fits(graph: &Graph, data: &mut Data, source: &Source) -> Result<()> {
    let names = check::inputs_of(graph, loss::LOSS);
    let loaders = [("data.training", Some(&mut data.training)), ("data.held_out", data.held_out.as_mut())];
    for (key, loader) in loaders {
        let Some(loader) = loader else { continue };
        let start = loader.place();
        let batch = loader.next_batch().map_err(source.because(key))?;
        loader.go_to(start)?;
        check::batch_fits(graph, &names, &batch, key, source)?;
    }
    Ok(())
}

/// The step that a run ends with, and how many an epoch has.
fn steps(configuration: &Configuration, given: Option<u64>, data: &Data, source: &Source) -> Result<(u64, u64)> {
    let training = &configuration.training;
    let accumulate = u64::from(configuration.optimizer.accumulate.unwrap_or(1).max(1));
    let batches = data.training.batches() as u64;
    let epoch = (batches / accumulate).max(1);
    let steps = match (given, training.steps, training.epochs) {
        (_, Some(_), Some(_)) => return Err(source.wrong("training.epochs", "a run has `steps` or `epochs`; expected one of them")),
        (Some(steps), _, _) | (None, Some(steps), None) => steps,
        (None, None, Some(epochs)) => {
            let all = epochs.checked_mul(batches).map(|batches| batches.div_ceil(accumulate));
            all.ok_or_else(|| source.wrong("training.epochs", "too many"))?
        }
        (None, None, None) => return Err(source.wrong("training", "expected `steps` or `epochs`")),
    };
    match steps {
        0 => Err(source.wrong("training", "the run has no step; expected `steps` or `epochs` of 1 or more")),
        steps => Ok((steps, epoch)),
    }
}

/// The values that patterns name.
fn kept(graph: &Graph, patterns: &[String], source: &Source) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for pattern in patterns {
        let made = graph.nodes().iter().flat_map(|node| node.outputs.iter().flatten()).map(|id| &graph.value(*id).name);
        let found: Vec<String> = made.filter(|name| is_of(pattern, name)).cloned().collect();
        if found.is_empty() {
            return Err(source.wrong("training.recompute", format!("the network has no value `{pattern}`")));
        }
        names.extend(found);
    }
    names.sort();
    names.dedup();
    Ok(names)
}

/// What a step does with the first batch. Shapes that do not fit and nodes without gradients are found here.
fn plan(step: &Step, graph: &Graph, data: &mut Data, target: &str, source: &Source) -> Result<Explanation> {
    let names = check::inputs_of(graph, loss::LOSS);
    let start = data.training.place();
    let batch = data.training.next_batch()?;
    data.training.go_to(start)?;
    step.explain_run(&batch.views(&names)).map_err(|error| {
        // What a loss is made of is named after it, and what makes its target fit after that.
        let of_target = format!("{target}.");
        let is_of_loss = |name: &str| name.starts_with(loss::LOSS) || name.starts_with(&of_target);
        let is_of_loss = error.node().and_then(|node| node.split(':').nth(1)).is_some_and(is_of_loss);
        source.because(if is_of_loss { "loss" } else { "model" })(error)
    })
}

/// Holds every metric against the first batch that is held out, so that none fails in the middle of a run.
fn measurable(mut metrics: Vec<Box<dyn Metric>>, step: &mut Step, graph: &Graph, data: &mut Data, source: &Source) -> Result<()> {
    let Some(loader) = data.held_out.as_mut().filter(|_| !metrics.is_empty()) else { return Ok(()) };
    let batch = loader.next_batch()?;
    loader.go_to(Place::default())?;
    let mut outputs: Vec<String> = metrics.iter().flat_map(|metric| metric.outputs()).collect();
    outputs.sort();
    outputs.dedup();
    let mut names: Vec<String> = outputs.iter().flat_map(|output| check::inputs_of(graph, output)).collect();
    names.sort();
    names.dedup();
    let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
    let found = step.evaluate_blocking(&outputs, &batch.views(&names)).map_err(source.because("data.held_out"))?;
    metrics.iter_mut().try_for_each(|metric| metric.add(&found, &batch)).map_err(source.because("training.metrics"))
}
