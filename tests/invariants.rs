//! What must hold of every plan, checked without running it.

use gristmill::graph::{Fact, Graph};
use gristmill::kernel::{Access, Caps};
use gristmill::passes::{self, Specialized};
use gristmill::plan::{self, Place, Plan, Step};
use gristmill::{Result, Tensor};

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

/// What does not hold: a step binds a buffer twice and writes it; a tensor is read before anybody wrote it, or shares its
/// buffer with another one that lives at the same time; buffers are too small; the memory is not what the plan claims.
fn broken(plan: &Plan) -> Vec<String> {
    let mut found = sizes(plan);
    let mut lives: Vec<Option<(usize, usize)>> = vec![None; plan.tensors.len()];
    let mut written: Vec<bool> = plan.tensors.iter().map(|t| matches!(t.place, Place::Weight(_))).collect();
    let mut clock = 0;
    let mut touch = |tensor: usize, clock: usize| {
        let first = lives[tensor].map_or(clock, |(first, _)| first);
        lives[tensor] = Some((first, clock));
    };
    for segment in &plan.segments {
        for upload in &segment.uploads {
            touch(upload.tensor, clock);
            written[upload.tensor] = true;
        }
        for step in &segment.steps {
            clock += 1;
            found.extend(collisions(plan, step));
            // Nobody writes a tensor without elements, and what its binding reads does not matter.
            let inputs = plan.graph.nodes()[step.node].inputs.iter().flatten();
            let empty = inputs.filter_map(|id| plan.graph.fact(*id).ok()).any(|fact| fact.ty.elements() == 0);
            for (&tensor, access) in step.bindings.iter().zip(&plan.kernels[step.kernel].storage) {
                touch(tensor, clock);
                if *access == Access::Write {
                    written[tensor] = true;
                } else if !written[tensor] && !empty {
                    found.push(format!("{} reads {} before it is written", path(plan, step), plan.tensors[tensor].name));
                }
            }
        }
        clock += 1;
        for download in &segment.downloads {
            touch(download.tensor, clock);
        }
    }
    for (a, one) in plan.tensors.iter().enumerate() {
        for (b, other) in plan.tensors.iter().enumerate().skip(a + 1).filter(|(_, other)| other.place == one.place) {
            let together = |(a, b): ((usize, usize), (usize, usize))| a.0 <= b.1 && b.0 <= a.1;
            let shared = !matches!(one.place, Place::Slot(_)) || lives[a].zip(lives[b]).is_some_and(together);
            if shared {
                found.push(format!("{} and {} live at one time in {}", one.name, other.name, one.place));
            }
        }
    }
    found
}

fn path<'a>(plan: &'a Plan, step: &Step) -> &'a str {
    &plan.graph.nodes()[step.node].path
}

/// Buffers that a step binds twice, once for writing, and weights that it writes.
fn collisions(plan: &Plan, step: &Step) -> Vec<String> {
    let mut found = Vec::new();
    let storage = &plan.kernels[step.kernel].storage;
    let places: Vec<Place> = step.bindings.iter().map(|t| plan.tensors[*t].place).collect();
    for (k, place) in places.iter().enumerate().filter(|(k, _)| storage[*k] == Access::Write) {
        if matches!(place, Place::Weight(_)) {
            found.push(format!("{} writes {place}", path(plan, step)));
        }
        if places.iter().enumerate().any(|(j, other)| j != k && other == place) {
            found.push(format!("{} binds {place} twice and writes it", path(plan, step)));
        }
    }
    found
}

fn sizes(plan: &Plan) -> Vec<String> {
    let mut found = Vec::new();
    for tensor in &plan.tensors {
        let size = match tensor.place {
            Place::Own(k) => plan.own[k],
            Place::Slot(k) => plan.slots[k],
            Place::Weight(_) => continue,
        };
        if tensor.bytes > size || tensor.bytes == 0 {
            found.push(format!("{} has {} bytes in {}, which has {size}", tensor.name, tensor.bytes, tensor.place));
        }
    }
    let (memory, slots) = (plan.memory, plan.slots.iter().sum::<u64>());
    if memory.peak != slots || memory.lower_bound > slots {
        found.push(format!("slots of {slots} bytes, but the plan claims {memory:?}"));
    }
    found
}
