//! What must hold of every plan, checked without running it.

use gristmill::graph::{Fact, Graph, ValueId};
use gristmill::kernel::{Access, Caps};
use gristmill::passes::{self, Specialized};
use gristmill::plan::{self, Binding, Place, Plan};
use gristmill::{Result, Tensor};
use std::collections::{HashMap, HashSet};

/// The optimised graph for inputs like these; inputs that shapes depend on become constants. `None` when a shape depends
/// on a value that is computed during the run.
pub fn optimized(graph: &Graph, inputs: &[Tensor], caps: &Caps) -> Result<Option<Graph>> {
    let assumed = |t: &Tensor| {
        let bounds = t.dtype().range().filter(|_| t.dtype().size() == 8).map(|_| (-(1 << 24), 1 << 24));
        Fact::new(t.dtype(), t.shape().clone()).bounded(bounds)
    };
    let mut facts: Vec<Fact> = inputs.iter().map(assumed).collect();
    loop {
        match passes::specialize(graph, &facts)? {
            Specialized::Graph(graph) => {
                let options = passes::Options { max_storage_buffers: caps.max_storage_buffers as usize, ..Default::default() };
                return passes::optimize(&graph, &options).map(Some);
            }
            Specialized::Blocked { value, .. } => match graph.inputs().iter().position(|i| i.value == value) {
                Some(index) => facts[index] = Fact::of(inputs[index].clone()),
                None => return Ok(None),
            },
        }
    }
}

/// The plan of an optimised graph, after a check of what must hold of it.
pub fn planned(graph: &Graph, caps: &Caps, options: &plan::Options) -> std::result::Result<Plan, String> {
    let plan = Plan::new(graph, caps, options).map_err(|e| format!("no plan on {caps}: {e}"))?;
    let broken = broken(&plan);
    if broken.is_empty() { Ok(plan) } else { Err(format!("the plan on {caps} is broken: {}\n{plan}of {graph}", broken.join("; "))) }
}

/// What does not hold: a step binds a buffer that it writes more than once, or reads what somebody else left there; a
/// binding exceeds its buffer; the memory is not what the plan claims.
fn broken(plan: &Plan) -> Vec<String> {
    let mut found = sizes(plan);
    let mut writers: HashMap<Place, usize> = HashMap::new();
    let makers = Makers::new(plan);
    let path = |node: usize| &plan.graph.nodes()[node].path;
    for segment in &plan.segments {
        for upload in &segment.uploads {
            writers.insert(upload.place, makers.of(upload.value));
        }
        for (number, step) in segment.steps.iter().enumerate() {
            let storage = &plan.kernels[step.kernel].storage;
            // Nobody writes a tensor without elements, and what its binding reads does not matter.
            let inputs = plan.graph.nodes()[step.node].inputs.iter().flatten();
            let empty = inputs.filter_map(|id| plan.graph.fact(*id).ok()).any(|fact| fact.ty.elements() == 0);
            let bound: Vec<(&Binding, bool)> =
                step.bindings.iter().zip(storage).map(|(b, access)| (b, *access == Access::Write)).collect();
            for (k, (binding, writes)) in bound.iter().enumerate() {
                if *writes && bound.iter().enumerate().any(|(j, (other, _))| j != k && other.place == binding.place) {
                    found.push(format!("step {number} ({}) binds {} twice and writes it", path(step.node), binding.place));
                }
                if *writes && matches!(binding.place, Place::Weight(_)) {
                    found.push(format!("step {number} ({}) writes {}", path(step.node), binding.place));
                }
                if let (false, Some(writer)) = (*writes, writers.get(&binding.place))
                    && !empty
                    && *writer != step.node
                    && !makers.before(step.node).contains(writer)
                {
                    found.push(format!("step {number} ({}) reads {} after somebody else wrote it", path(step.node), binding.place));
                }
            }
            for (binding, _) in bound.iter().filter(|(_, writes)| *writes) {
                writers.insert(binding.place, step.node);
            }
        }
        for download in &segment.downloads {
            let maker = makers.of(download.value);
            let writer = writers.get(&download.place);
            if writer.is_some_and(|w| *w != maker && !makers.sources(maker).contains(w)) {
                found.push(format!("the download of {} finds what somebody else wrote", plan.graph.value(download.value).name));
            }
        }
    }
    found
}

fn sizes(plan: &Plan) -> Vec<String> {
    let mut found = Vec::new();
    for step in plan.steps() {
        for binding in &step.bindings {
            let size = match binding.place {
                Place::Own(k) => plan.own[k],
                Place::Slot(k) => plan.slots[k],
                Place::Weight(_) => continue,
            };
            if binding.bytes > size || binding.bytes == 0 {
                found.push(format!("{} bytes of {} are bound, which has {size}", binding.bytes, binding.place));
            }
        }
    }
    let (memory, slots) = (plan.memory, plan.slots.iter().sum::<u64>());
    if memory.peak != slots || memory.lower_bound > slots {
        found.push(format!("slots of {slots} bytes, but the plan claims {memory:?}"));
    }
    found
}

/// Which nodes' results a node may find in a buffer. Inputs of the graph count as nodes of their own.
struct Makers {
    producer: Vec<usize>,
    before: Vec<HashSet<usize>>,
    sources: Vec<HashSet<usize>>,
}

impl Makers {
    fn new(plan: &Plan) -> Self {
        let nodes = plan.graph.nodes();
        let count = nodes.len();
        let producer: Vec<usize> =
            plan.graph.producers().iter().enumerate().map(|(value, node)| node.unwrap_or(count + value)).collect();
        let working: HashSet<usize> = plan.steps().map(|s| s.node).chain(plan.host_nodes().map(|h| h.node)).collect();
        let (mut before, mut sources) = (Vec::new(), Vec::<HashSet<usize>>::new());
        for node in nodes {
            let makers = node.inputs.iter().flatten().map(|id| producer[id.index()]);
            let mut own = HashSet::new();
            for maker in makers {
                own.insert(maker);
                // A node without steps hands on the buffers of its inputs.
                if maker < count && !working.contains(&maker) {
                    own.extend(&sources[maker]);
                }
            }
            sources.push(own.clone());
            before.push(own);
        }
        Makers { producer, before, sources }
    }

    fn of(&self, value: ValueId) -> usize {
        self.producer[value.index()]
    }

    fn before(&self, node: usize) -> &HashSet<usize> {
        &self.before[node]
    }

    fn sources(&self, maker: usize) -> HashSet<usize> {
        self.sources.get(maker).cloned().unwrap_or_default()
    }
}
