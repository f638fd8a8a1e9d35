//! A graph with its plans, by input shapes.

use super::cut::Split;
use crate::error::{Error, ErrorKind, Result};
use crate::gpu::{Compile, Gpu, Pipeline, Tally};
use crate::graph::{Fact, Graph, ValueId};
use crate::kernel::Caps;
use crate::passes::{self, Specialized};
use crate::plan::{self, Choices, Plan};
use crate::session::Options;
use crate::session::data::elements::{ASSUMED, within_assumed};
use crate::session::execution::loaded::{HostValues, Prepared};
use crate::session::execution::weights::Weights;
use crate::session::planning::choices::Tuner;
use crate::session::timing::profile::Recorder;
use crate::tensor::{DType, Shape, Tensor, TensorType, TensorView};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// The most plans that are kept; the one not used for longest goes first.
const MAX_PLANS: usize = 16;

/// The most elements of inputs whose values a plan may depend on: room for every input that holds a shape, and none for
/// data that is new in every run.
pub(crate) const MAX_VALUE_ELEMENTS: usize = 64;

/// What a run is done with.
pub(crate) struct Context<'a> {
    pub gpu: &'a Gpu,
    pub weights: &'a Weights,
    pub tally: &'a Arc<Tally>,
    pub options: &'a Options,
    pub tuner: &'a Tuner,
    /// Takes the time of every dispatch.
    pub recorder: Option<&'a Recorder>,
}

/// What a plan was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    shapes: Vec<Shape>,
    /// For each input, whether 64-bit integers lie within the assumed bounds.
    bounded: Vec<bool>,
    /// Inputs whose contents the plan depends on.
    values: Vec<(usize, Vec<u8>)>,
}

/// How a graph is run for inputs of one key.
#[derive(Clone)]
pub(crate) enum Entry {
    /// By one plan.
    Plan(Arc<Prepared>),
    /// In two parts, since a shape in the second depends on the data of the first.
    Split(Arc<Split>),
}

/// A graph and its plans.
pub(crate) struct Unit {
    graph: Arc<Graph>,
    /// The last used stands last.
    entries: Mutex<Vec<(Key, Entry)>>,
    /// Held while a plan is made, so that it is made once.
    planning: futures_intrusive::sync::Mutex<()>,
    /// Inputs that some shape was found to depend on.
    by_value: Mutex<BTreeSet<usize>>,
    /// By the node that is blocked.
    splits: Mutex<HashMap<usize, Arc<Split>>>,
}

impl Unit {
    pub(crate) fn new(graph: Arc<Graph>) -> Self {
        Unit {
            graph,
            entries: Mutex::default(),
            planning: futures_intrusive::sync::Mutex::new((), true),
            by_value: Mutex::default(),
            splits: Mutex::default(),
        }
    }

    pub(crate) fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The graph's outputs for these inputs, in order. When the device has no memory left, other plans give up theirs.
    pub(crate) async fn run(&self, context: &Context<'_>, inputs: &[TensorView<'_>]) -> Result<Vec<Tensor>> {
        match self.run_once(context, inputs).await {
            Err(error) if error.kind() == ErrorKind::OutOfMemory => {
                log::warn!("{error}; trying again without the buffers of other plans");
                self.entries.lock().unwrap_or_else(PoisonError::into_inner).clear();
                context.gpu.trim();
                self.run_once(context, inputs).await
            }
            result => result,
        }
    }

    async fn run_once(&self, context: &Context<'_>, inputs: &[TensorView<'_>]) -> Result<Vec<Tensor>> {
        match self.entry(context, inputs).await? {
            Entry::Plan(prepared) => {
                let ids = self.graph.inputs().iter().map(|i| i.value);
                let mut values = HostValues { inputs: ids.zip(inputs.iter().copied()).collect(), computed: HashMap::new() };
                prepared.run(&mut values, context.recorder).await?;
                prepared.outputs(&values)
            }
            Entry::Split(split) => Box::pin(split.run(context, inputs)).await,
        }
    }

    /// Whether some shape was found to depend on what an input holds.
    pub(crate) fn depends_on_values(&self) -> bool {
        !self.by_value.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// How inputs like these are run; makes a plan when there is none yet.
    pub(crate) async fn entry(&self, context: &Context<'_>, inputs: &[TensorView<'_>]) -> Result<Entry> {
        if let Some(found) = self.find(&self.key(inputs)) {
            return Ok(found);
        }
        let _planning = self.planning.lock().await;
        loop {
            let key = self.key(inputs);
            if let Some(found) = self.find(&key) {
                return Ok(found);
            }
            let entry = match passes::specialize(&self.graph, &key.facts(inputs))? {
                Specialized::Graph(graph) => Entry::Plan(Arc::new(prepare(context, &graph).await?)),
                Specialized::Blocked { value, .. } if self.take_by_value(value, inputs) => continue,
                Specialized::Blocked { value, node } => Entry::Split(self.split(context, value, node)?),
            };
            let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
            if entries.len() >= MAX_PLANS {
                entries.remove(0);
            }
            entries.push((key, entry.clone()));
            return Ok(entry);
        }
    }

    fn find(&self, key: &Key) -> Option<Entry> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let index = entries.iter().position(|(k, _)| k == key)?;
        let found = entries.remove(index);
        let entry = found.1.clone();
        entries.push(found);
        Some(entry)
    }

    fn key(&self, inputs: &[TensorView<'_>]) -> Key {
        let by_value = self.by_value.lock().unwrap_or_else(PoisonError::into_inner);
        let small = |k: &&usize| elements(&inputs[**k]) <= MAX_VALUE_ELEMENTS;
        Key {
            shapes: inputs.iter().map(|v| v.shape().into()).collect(),
            bounded: inputs.iter().map(within_assumed).collect(),
            values: by_value.iter().filter(small).map(|&k| (k, inputs[k].bytes().to_vec())).collect(),
        }
    }

    /// Makes the inputs that `value` depends on part of the key, when there are new ones and they are small.
    fn take_by_value(&self, value: ValueId, inputs: &[TensorView<'_>]) -> bool {
        let needed = sources(&self.graph, value);
        let small = needed.iter().map(|&k| elements(&inputs[k])).sum::<usize>() <= MAX_VALUE_ELEMENTS;
        let mut by_value = self.by_value.lock().unwrap_or_else(PoisonError::into_inner);
        let before = by_value.len();
        if small {
            by_value.extend(needed);
        }
        by_value.len() > before
    }

    fn split(&self, context: &Context<'_>, value: ValueId, node: usize) -> Result<Arc<Split>> {
        let mut splits = self.splits.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(split) = splits.get(&node) {
            return Ok(split.clone());
        }
        let split = Arc::new(Split::new(&self.graph, value, node, context.options)?);
        splits.insert(node, split.clone());
        Ok(split)
    }
}

impl Key {
    fn facts(&self, inputs: &[TensorView<'_>]) -> Vec<Fact> {
        let fact = |(index, view): (usize, &TensorView<'_>)| {
            if self.values.iter().any(|(k, _)| *k == index) {
                return Fact::of(view.to_tensor());
            }
            assumed(&TensorType::new(view.dtype(), view.shape()), self.bounded[index])
        };
        inputs.iter().enumerate().map(fact).collect()
    }
}

fn elements(view: &TensorView<'_>) -> usize {
    view.shape().iter().product()
}

/// What is known of an input of this type.
pub(crate) fn assumed(ty: &TensorType, bounded: bool) -> Fact {
    let bounds = match ty.dtype {
        DType::I64 if bounded => Some((-ASSUMED, ASSUMED)),
        DType::U64 if bounded => Some((0, ASSUMED)),
        _ => None,
    };
    Fact { ty: ty.clone(), value: None, bounds }
}

impl Context<'_> {
    /// Options of a plan, with what is known of variants by now.
    pub(crate) fn plan_options(&self) -> plan::Options {
        plan_options(self.options, self.tuner.choices(self.gpu.caps()))
    }

    /// Makes a plan ready, unless some of its kernels cannot be compiled.
    pub(crate) async fn ready(&self, plan: Plan) -> Result<Ready> {
        let (checked, folder, progress) = (self.options.checked, self.tuner.folder(), &self.options.progress);
        let how = Compile { checked, folder, progress, tally: self.tally };
        let compiled = self.gpu.pipelines(&plan.kernels, &how).await;
        let (mut pipelines, mut faults) = (Vec::new(), Vec::new());
        for (kernel, result) in compiled.into_iter().enumerate() {
            match result {
                Ok(pipeline) => pipelines.push(pipeline),
                Err(error) => faults.push((kernel, error)),
            }
        }
        if !faults.is_empty() {
            return Ok(Ready::Refused { plan, faults, pipelines });
        }
        Ok(Ready::Plan(Prepared::new(self, plan, pipelines).await?))
    }
}

/// What became of a plan.
pub(crate) enum Ready {
    /// It can run.
    Plan(Prepared),
    /// Some of its kernels cannot be compiled.
    Refused {
        plan: Plan,
        /// Index of the kernel, and what the device says to it.
        faults: Vec<(usize, Error)>,
        /// Those of its other kernels, which the next plan may want.
        pipelines: Vec<Arc<Pipeline>>,
    },
}

/// The fault to report of several.
pub(crate) fn first(faults: Vec<(usize, Error)>) -> Error {
    let first = faults.into_iter().next();
    first.map_or_else(|| Error::internal("a plan was refused without a fault"), |(_, error)| error)
}

fn plan_options(options: &Options, choices: Arc<Choices>) -> plan::Options {
    plan::Options { strict_gpu: options.strict_gpu, variant: options.variant.clone(), choices }
}

fn optimized(graph: &Graph, caps: &Caps, options: &Options) -> Result<Graph> {
    let passes = passes::Options {
        fuse: !options.keep_all,
        max_storage_buffers: caps.max_storage_buffers as usize,
        selection: options.passes.clone(),
        ..passes::Options::default()
    };
    passes::optimize(graph, &passes)
}

/// The plan of a specialised graph.
pub(crate) fn make_plan(graph: &Graph, caps: &Caps, options: &Options, choices: Arc<Choices>) -> Result<Plan> {
    Plan::new(&optimized(graph, caps, options)?, caps, &plan_options(options, choices))
}

/// Makes a plan and all that its runs need. Measures variants beforehand if asked to, and makes another plan when the device
/// refuses a kernel of this one.
async fn prepare(context: &Context<'_>, graph: &Graph) -> Result<Prepared> {
    let caps = context.gpu.caps();
    let graph = optimized(graph, caps, context.options)?;
    // What is compiled on the way to the plan is kept until the plan is there.
    let mut held = context.tuner.tune(context, &graph).await?;
    let prepared = loop {
        let plan = Plan::new(&graph, caps, &context.plan_options())?;
        log::debug!("{plan}");
        match context.ready(plan).await? {
            Ready::Plan(prepared) => break prepared,
            Ready::Refused { plan, faults, pipelines } if context.tuner.refuse(context.gpu, &plan, &faults) == Some(true) => {
                held.extend(pipelines);
            }
            Ready::Refused { faults, .. } => return Err(first(faults)),
        }
    };
    Tally::add(&context.tally.plans);
    if let Some(folder) = context.tuner.folder() {
        context.gpu.keep_pipelines(folder);
    }
    Ok(prepared)
}

/// The inputs that a value depends on.
pub(crate) fn sources(graph: &Graph, value: ValueId) -> BTreeSet<usize> {
    let (_, needed) = ancestors(graph, [value]);
    let inputs = graph.inputs().iter().enumerate();
    inputs.filter(|(_, i)| needed[i.value.index()]).map(|(k, _)| k).collect()
}

/// The nodes and the values that some values depend on, as flags by index.
pub(crate) fn ancestors(graph: &Graph, values: impl IntoIterator<Item = ValueId>) -> (Vec<bool>, Vec<bool>) {
    let mut needed = vec![false; graph.values().len()];
    values.into_iter().for_each(|value| needed[value.index()] = true);
    let mut nodes = vec![false; graph.nodes().len()];
    for (index, node) in graph.nodes().iter().enumerate().rev() {
        if node.outputs.iter().flatten().any(|o| needed[o.index()]) {
            nodes[index] = true;
            node.inputs.iter().flatten().for_each(|i| needed[i.index()] = true);
        }
    }
    (nodes, needed)
}
