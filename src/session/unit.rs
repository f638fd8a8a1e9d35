//! Plans by input shapes.

use super::Options;
use super::convert::{ASSUMED, within_assumed};
use super::prepared::{HostValues, Prepared};
use super::weights::Weights;
use crate::error::{Error, Result};
use crate::gpu::{Gpu, Tally};
use crate::graph::{Fact, Graph, ValueId};
use crate::passes::{self, Specialized};
use crate::plan::{self, Plan};
use crate::tensor::{DType, Shape, Tensor, TensorView};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// The most plans that are kept; the one not used for longest goes first.
const MAX_PLANS: usize = 16;

/// The most elements of inputs whose values a plan may depend on.
const MAX_VALUE_ELEMENTS: usize = 1024;

/// A device and what a session keeps on it.
pub(super) struct Device {
    pub gpu: Gpu,
    pub weights: Weights,
    pub tally: Arc<Tally>,
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

/// A graph and its plans.
pub(super) struct Unit {
    graph: Arc<Graph>,
    /// The last used stands last.
    plans: Mutex<Vec<(Key, Arc<Prepared>)>>,
    /// Held while a plan is made, so that it is made once.
    planning: futures_intrusive::sync::Mutex<()>,
    /// Inputs that some shape was found to depend on.
    by_value: Mutex<BTreeSet<usize>>,
}

impl Unit {
    pub(super) fn new(graph: Arc<Graph>) -> Self {
        Unit { graph, plans: Mutex::default(), planning: futures_intrusive::sync::Mutex::new((), true), by_value: Mutex::default() }
    }

    /// The graph's outputs for these inputs, in order.
    pub(super) async fn run(&self, device: &Device, options: &Options, inputs: &[TensorView<'_>]) -> Result<Vec<Tensor>> {
        let prepared = self.prepared(device, options, inputs).await?;
        let ids = self.graph.inputs().iter().map(|i| i.value);
        let mut values = HostValues { inputs: ids.zip(inputs.iter().copied()).collect(), computed: HashMap::new() };
        prepared.run(&mut values).await?;
        prepared.outputs(&values)
    }

    async fn prepared(&self, device: &Device, options: &Options, inputs: &[TensorView<'_>]) -> Result<Arc<Prepared>> {
        if let Some(found) = self.find(&self.key(inputs)) {
            return Ok(found);
        }
        let _planning = self.planning.lock().await;
        loop {
            let key = self.key(inputs);
            if let Some(found) = self.find(&key) {
                return Ok(found);
            }
            match passes::specialize(&self.graph, &self.facts(&key, inputs))? {
                Specialized::Graph(graph) => {
                    let prepared = Arc::new(self.prepare(device, options, &graph).await?);
                    let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
                    if plans.len() >= MAX_PLANS {
                        plans.remove(0);
                    }
                    plans.push((key, prepared.clone()));
                    return Ok(prepared);
                }
                Specialized::Blocked { value, node } => {
                    if !self.widen_values(value, inputs) {
                        let name = &self.graph.value(value).name;
                        let message = format!("the output shape depends on the value of `{name}`, which depends on the run's data");
                        return Err(Error::unsupported(message).at(&self.graph.nodes()[node].path));
                    }
                }
            }
        }
    }

    async fn prepare(&self, device: &Device, options: &Options, graph: &Graph) -> Result<Prepared> {
        let caps = device.gpu.caps();
        let fuse = passes::Options { fuse: !options.keep_all, max_storage_buffers: caps.max_storage_buffers as usize };
        let graph = passes::optimize(graph, &fuse)?;
        let choices = plan::Options { strict_gpu: options.strict_gpu, variant: options.variant.clone() };
        let plan = Plan::new(&graph, caps, &choices)?;
        log::debug!("{plan}");
        Tally::add(&device.tally.plans);
        Prepared::new(&device.gpu, plan, &device.weights, options.checked, &device.tally).await
    }

    fn find(&self, key: &Key) -> Option<Arc<Prepared>> {
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        let index = plans.iter().position(|(k, _)| k == key)?;
        let found = plans.remove(index);
        let prepared = found.1.clone();
        plans.push(found);
        Some(prepared)
    }

    fn key(&self, inputs: &[TensorView<'_>]) -> Key {
        let by_value = self.by_value.lock().unwrap_or_else(PoisonError::into_inner);
        Key {
            shapes: inputs.iter().map(|v| v.shape().into()).collect(),
            bounded: inputs.iter().map(within_assumed).collect(),
            values: by_value.iter().map(|&k| (k, inputs[k].bytes().to_vec())).collect(),
        }
    }

    fn facts(&self, key: &Key, inputs: &[TensorView<'_>]) -> Vec<Fact> {
        let fact = |(index, view): (usize, &TensorView<'_>)| {
            if key.values.iter().any(|(k, _)| *k == index) {
                return Fact::of(view.to_tensor());
            }
            let bounds = match view.dtype() {
                DType::I64 if key.bounded[index] => Some((-ASSUMED, ASSUMED)),
                DType::U64 if key.bounded[index] => Some((0, ASSUMED)),
                _ => None,
            };
            Fact::new(view.dtype(), view.shape()).bounded(bounds)
        };
        inputs.iter().enumerate().map(fact).collect()
    }

    /// Makes the inputs that `value` depends on part of the key, when there are new ones and they are small.
    fn widen_values(&self, value: ValueId, inputs: &[TensorView<'_>]) -> bool {
        let needed = self.sources(value);
        let mut by_value = self.by_value.lock().unwrap_or_else(PoisonError::into_inner);
        let all: BTreeSet<usize> = by_value.union(&needed).copied().collect();
        let elements: usize = all.iter().map(|&k| inputs[k].shape().iter().product::<usize>()).sum();
        let grows = all.len() > by_value.len() && elements <= MAX_VALUE_ELEMENTS;
        if grows {
            *by_value = all;
        }
        grows
    }

    /// The inputs that a value depends on.
    fn sources(&self, value: ValueId) -> BTreeSet<usize> {
        let mut needed = vec![false; self.graph.values().len()];
        needed[value.index()] = true;
        for node in self.graph.nodes().iter().rev() {
            if node.outputs.iter().flatten().any(|o| needed[o.index()]) {
                node.inputs.iter().flatten().for_each(|i| needed[i.index()] = true);
            }
        }
        let inputs = self.graph.inputs().iter().enumerate();
        inputs.filter(|(_, i)| needed[i.value.index()]).map(|(k, _)| k).collect()
    }
}
