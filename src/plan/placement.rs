//! Which nodes run where, and by which kernels.

use super::choices::Chosen;
use super::options::PlanOptions;
use super::tuning_key::TuningKey;
use super::variants::{Pick, Variants};
use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Fact, Graph, Io, Node, ValueId};
use crate::kernel::{Caps, Dispatch, Lowering, Offer, Packing, Table};

/// How one node is done.
#[derive(Clone, Debug)]
pub(super) enum Placement {
    /// Its output shares the buffer of a value.
    Alias(ValueId),
    /// Its output is a run of elements of a value, from this one on, bound where it lies.
    Window(ValueId, usize),
    /// By dispatches.
    Gpu(Box<GpuNode>),
    /// By its reference on the host, for a reason.
    Host(String),
}

/// The dispatches of a node.
#[derive(Clone, Debug)]
pub(super) struct GpuNode {
    pub variant: &'static str,
    /// Names of all variants that fit.
    pub variants: Vec<&'static str>,
    /// Names of those that do not, and why.
    pub declined: Vec<(&'static str, String)>,
    /// Names of those that fit and that the driver did not refuse.
    pub usable: Vec<&'static str>,
    pub chosen: Chosen,
    /// What the choice is known by, where measurement may make it.
    pub key: Option<TuningKey>,
    pub dispatches: Vec<Dispatch>,
    pub temporaries: Vec<u64>,
    pub packed: Vec<Packing>,
    pub tables: Vec<Table>,
    /// What is known of every output, unread ones among them.
    pub outputs: Vec<Fact>,
    /// The output that is written over an input, and the input.
    pub updates: Option<(usize, usize)>,
}

/// What of a node's data lies where other data does.
#[derive(Clone, Debug, Default)]
pub(super) struct Form {
    /// The output that is written over an input, and the input.
    pub updates: Option<(usize, usize)>,
    /// Which inputs lie within output 0 already; none where it is empty.
    pub joined: Vec<bool>,
}

/// For each value, the one whose contents it has under another shape; with `windows`, also the one that it is a part of.
pub(super) fn aliases(graph: &Graph, placements: &[Placement], windows: bool) -> Vec<ValueId> {
    let mut root: Vec<ValueId> = (0..graph.values().len()).map(ValueId).collect();
    for (node, placement) in graph.nodes().iter().zip(placements) {
        let shared = match placement {
            Placement::Alias(input) => Some(*input),
            Placement::Window(input, _) if windows => Some(*input),
            _ => None,
        };
        if let (Some(input), Some(Some(output))) = (shared, node.outputs.first()) {
            root[output.index()] = root[input.index()];
        }
    }
    root
}

/// Decides for every node of a specialised graph, each of which writes its outputs whole.
pub(super) fn place_apart(graph: &Graph, caps: &Caps, options: &PlanOptions) -> Result<Vec<Placement>> {
    let mut placements = Vec::with_capacity(graph.nodes().len());
    for node in graph.nodes() {
        let placement = match lower(graph, node, caps, options, Form::default()) {
            Ok(placement) => placement,
            Err(e) if e.kind() == ErrorKind::Unsupported => Placement::Host(e.message().to_string()),
            Err(e) => return Err(e.at(&node.path)),
        };
        if let (Placement::Host(reason), true) = (&placement, options.strict_gpu) {
            let message = format!("the node would run on the host, which strict_gpu forbids: {reason}");
            return Err(Error::unsupported(message).at(&node.path));
        }
        placements.push(placement);
    }
    Ok(placements)
}

/// How a node is done, in a form.
pub(super) fn lower(graph: &Graph, node: &Node, caps: &Caps, options: &PlanOptions, form: Form) -> Result<Placement> {
    let Form { updates, joined } = form;
    let inputs = graph.input_facts(node)?;
    let mut outputs = node.op.infer(&inputs)?;
    for (fact, id) in outputs.iter_mut().zip(&node.outputs) {
        if let Some(id) = id {
            *fact = graph.fact(*id)?.clone();
        }
    }
    let used = (0..outputs.len()).map(|k| node.outputs.get(k).is_some_and(Option::is_some)).collect();
    let io = Io { inputs, outputs: outputs.iter().collect(), used, epilogue: None, in_place: updates.is_some(), joined };
    let mut variants = Variants::new(node, &io, graph, caps)?;
    if variants.fitting.is_empty() {
        let last = variants.declined.pop();
        return Err(last.map_or_else(|| Error::internal("lower offered no variant"), |declined| declined.reason));
    }
    let Pick { wanted, chosen, usable, key } = variants.pick(node, &io.inputs, options);
    let names = variants.fitting.iter().map(|offer| offer.variant).collect();
    let Offer { variant, lowering } = variants.fitting.swap_remove(wanted);
    match lowering {
        Lowering::Alias { input } => {
            let id = node.inputs.get(input).copied().flatten();
            id.map(Placement::Alias).ok_or_else(|| Error::internal("an alias of an input that is left out"))
        }
        Lowering::Window { input, first } => {
            let id = node.inputs.get(input).copied().flatten();
            id.map(|id| Placement::Window(id, first)).ok_or_else(|| Error::internal("a window of an input that is left out"))
        }
        Lowering::Dispatches { dispatches, temporaries, packed, tables, .. } => Ok(Placement::Gpu(Box::new(GpuNode {
            variant,
            variants: names,
            declined: variants.declined.into_iter().map(|d| (d.variant, d.reason.message().to_string())).collect(),
            usable,
            chosen,
            key,
            dispatches,
            temporaries,
            packed,
            tables,
            outputs,
            updates,
        }))),
    }
}
