//! A plan for people: what runs, by which kernels, in how much memory.

use crate::kernel::{Caps, Grid, Kernel, Work};
use crate::passes::AGAIN;
use crate::plan::{Chosen, Plan, PlannedState};
use crate::tensor::TensorType;
use std::fmt;

/// One dispatch of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct ExplainedStep {
    /// Path of the node it belongs to; that of a fused node names all nodes that were fused.
    pub node: String,
    /// The operator.
    pub operator: String,
    /// Name of the shader.
    pub kernel: &'static str,
    /// What its pipeline is compiled from; [`Kernel::source`] is the whole text.
    #[doc(hidden)]
    pub pipeline: Kernel,
    /// Name of the kernel's variant.
    pub variant: &'static str,
    /// Why that one.
    pub chosen: Chosen,
    /// The other variants that could be taken.
    pub alternatives: Vec<&'static str>,
    /// The variants that do not fit, each with the reason.
    pub declined: Vec<(&'static str, String)>,
    /// How many workgroups.
    pub grid: Grid,
    /// How much it does.
    pub work: Work,
}

/// A node that runs on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainedHostNode {
    /// Its path.
    pub node: String,
    /// Why it has no kernel.
    pub reason: String,
    /// Bytes that are copied to and from the GPU for it.
    pub copied: u64,
}

/// What lasts from run to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainedState {
    /// Its name.
    pub name: String,
    /// What it holds when a run starts.
    pub ty: TensorType,
    /// Bytes of its buffers, two where it is written elsewhere than it is read.
    pub bytes: u64,
    /// How it is written: in place, swapped, copied, or by the host.
    pub written: String,
    /// Why so.
    pub reason: String,
}

/// A node that stands between plans: a loop, a branch, or what waits for data.
#[derive(Clone, Debug, PartialEq)]
pub struct ExplainedStage {
    /// Its path.
    pub node: String,
    /// What it is.
    pub what: &'static str,
    /// How many steps are done before it.
    pub after: usize,
    /// What the graphs within it do.
    pub bodies: Vec<Explanation>,
}

/// What a plan will do and what it costs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Explanation {
    /// The adapter it is planned for.
    pub adapter: String,
    /// Dispatches in order.
    pub steps: Vec<ExplainedStep>,
    /// Nodes on the host.
    pub host_nodes: Vec<ExplainedHostNode>,
    /// What stands between plans, where one plan cannot do everything. What all plans take is added up then.
    pub stages: Vec<ExplainedStage>,
    /// States.
    pub states: Vec<ExplainedState>,
    /// Integer inputs that a shape depends on, and what their elements were taken to be.
    pub assumptions: Vec<(String, usize)>,
    /// Nodes of the model.
    pub model_nodes: usize,
    /// Nodes that are left after folding and fusion.
    pub planned_nodes: usize,
    /// Different kernels to compile.
    pub kernels: usize,
    /// Bytes of constants on the GPU, in the layouts that kernels want.
    pub weight_bytes: u64,
    /// Bytes of the buffers of inputs and outputs.
    pub own_bytes: u64,
    /// Bytes of the buffers of states, for each set of them that is in use.
    pub state_bytes: u64,
    /// Bytes of the buffers of intermediate tensors.
    pub peak_bytes: u64,
    /// Bytes of the textures that kernels use as scratch.
    pub texture_bytes: u64,
    /// The largest sum of intermediate tensors that live at one step.
    pub lower_bound: u64,
    /// The largest binding in bytes.
    pub largest_binding: u64,
    /// The adapter's limit of a binding in bytes.
    pub binding_limit: u64,
}

impl ExplainedState {
    fn new(planned: &PlannedState) -> Self {
        ExplainedState {
            name: planned.name.clone(),
            ty: planned.read.clone(),
            bytes: planned.read_bytes() + planned.result_bytes(),
            written: planned.written.to_string(),
            reason: planned.reason.clone(),
        }
    }
}

impl Explanation {
    pub(crate) fn new(plan: &Plan, caps: &Caps, model_nodes: usize) -> Self {
        let node = |index: usize| &plan.graph.nodes()[index];
        let step = |s: &crate::plan::Step| ExplainedStep {
            node: node(s.node).path.clone(),
            operator: node(s.node).op.name().to_string(),
            kernel: plan.kernels[s.kernel].shader.name,
            pipeline: plan.kernels[s.kernel].clone(),
            variant: s.variant,
            chosen: plan.chosen[s.node],
            alternatives: plan.variants[s.node].iter().copied().filter(|v| *v != s.variant).collect(),
            declined: plan.declined[s.node].clone(),
            grid: s.grid,
            work: s.work,
        };
        let mut host_nodes = Vec::new();
        for segment in &plan.segments {
            for host in &segment.host {
                let values: Vec<_> = node(host.node).inputs.iter().chain(&node(host.node).outputs).flatten().collect();
                let transfers = plan.segments.iter().flat_map(|s| s.uploads.iter().chain(&s.downloads));
                let copied = transfers.filter(|t| values.contains(&&t.value)).map(|t| t.bytes()).sum();
                host_nodes.push(ExplainedHostNode { node: node(host.node).path.clone(), reason: host.reason.clone(), copied });
            }
        }
        Explanation {
            adapter: caps.to_string(),
            steps: plan.steps().map(step).collect(),
            host_nodes,
            stages: Vec::new(),
            states: plan.states.iter().map(ExplainedState::new).collect(),
            assumptions: Vec::new(),
            model_nodes,
            planned_nodes: plan.graph.nodes().len(),
            kernels: plan.kernels.len(),
            weight_bytes: plan.weights.iter().map(|w| w.bytes()).sum(),
            own_bytes: plan.memory.own,
            state_bytes: plan.memory.states,
            peak_bytes: plan.memory.peak,
            texture_bytes: plan.memory.textures,
            lower_bound: plan.memory.lower_bound,
            largest_binding: plan.memory.largest_binding,
            binding_limit: caps.max_storage_binding,
        }
    }
}

impl Explanation {
    /// Dispatches of the forward pass that a training step makes once more, since checkpoints leave out what it needs.
    pub fn recomputed(&self) -> usize {
        self.steps.iter().filter(|step| step.node.contains(AGAIN)).count()
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.steps.iter().map(|s| s.node.chars().count()).max().unwrap_or(0).clamp(4, 60);
        writeln!(f, "{:>4}  {:width$}  {:32}  grid", "step", "node", "kernel and variant")?;
        for (index, s) in self.steps.iter().enumerate() {
            let [x, y, z] = s.grid;
            let kernel = format!("{} ({})", s.kernel, s.variant);
            writeln!(f, "{index:>4}  {:width$}  {kernel:32}  {x} x {y} x {z}", s.node)?;
        }
        for ExplainedStage { node, what, after, bodies } in &self.stages {
            writeln!(f, "stage {node}, behind {after} steps: {what}")?;
            for body in bodies {
                let text = body.to_string();
                text.lines().try_for_each(|line| writeln!(f, "    {line}"))?;
            }
        }
        for host in &self.host_nodes {
            writeln!(f, "host  {:width$}  {} ({} bytes copied)", host.node, host.reason, host.copied)?;
        }
        for ExplainedState { name, ty, bytes, written, reason } in &self.states {
            writeln!(f, "state {name:width$}  {ty}, {bytes} bytes: {written}, since {reason}")?;
        }
        for (input, value) in &self.assumptions {
            writeln!(f, "a shape depends on what `{input}` holds, which was taken to be {value}")?;
        }
        let ratio = if self.lower_bound == 0 { 1.0 } else { self.peak_bytes as f64 / self.lower_bound as f64 };
        writeln!(f, "adapter            {}", self.adapter)?;
        writeln!(f, "nodes              {} of the model, {} after folding and fusion", self.model_nodes, self.planned_nodes)?;
        writeln!(
            f,
            "dispatches         {}, {} kernels, {} nodes on the host",
            self.steps.len(),
            self.kernels,
            self.host_nodes.len()
        )?;
        if self.recomputed() > 0 {
            writeln!(f, "computed anew      {} dispatches", self.recomputed())?;
        }
        writeln!(f, "weights            {} bytes", self.weight_bytes)?;
        writeln!(f, "inputs, outputs    {} bytes", self.own_bytes)?;
        if self.state_bytes > 0 {
            writeln!(f, "states             {} bytes", self.state_bytes)?;
        }
        if self.texture_bytes > 0 {
            writeln!(f, "scratch textures   {} bytes", self.texture_bytes)?;
        }
        writeln!(f, "peak activations   {} bytes, {ratio:.2} times the lower bound of {}", self.peak_bytes, self.lower_bound)?;
        writeln!(f, "largest binding    {} bytes of {}", self.largest_binding, self.binding_limit)
    }
}
