//! Which nodes run where, and by which kernels.

use super::bindings::Bindings;
use super::{Chosen, Options, Signature};
use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Fact, Graph, Io, Node, ValueId};
use crate::kernel::{Caps, Declined, Dispatch, Kernel, Lowering, Offer, Offers, Packing, Table};

/// How one node is done.
#[derive(Clone, Debug)]
pub(super) enum Placement {
    /// Its output shares the buffer of a value.
    Alias(ValueId),
    /// By dispatches.
    Gpu(GpuNode),
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
    /// The same without those that the driver refused.
    pub usable: Vec<&'static str>,
    pub chosen: Chosen,
    /// What the choice is known by, where measurement may make it.
    pub signature: Option<Signature>,
    pub dispatches: Vec<Dispatch>,
    pub temporaries: Vec<u64>,
    pub packed: Vec<Packing>,
    pub tables: Vec<Table>,
    /// What is known of every output, also of those that nobody reads.
    pub outputs: Vec<Fact>,
}

/// Decides for every node of a specialised graph.
pub(super) fn place(graph: &Graph, caps: &Caps, options: &Options) -> Result<Vec<Placement>> {
    let mut placements = Vec::with_capacity(graph.nodes().len());
    for node in graph.nodes() {
        let placement = match lower(graph, node, caps, options) {
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

/// The variants of a node, held against what the graph has for their bindings.
struct Variants {
    fitting: Vec<Offer>,
    declined: Vec<Declined>,
}

impl Variants {
    fn of(node: &Node, io: &Io, graph: &Graph, caps: &Caps) -> Result<Self> {
        // Nobody reads anything of outputs without elements, where they have a form on the GPU at all.
        let empty = |k: usize| io.outputs[k].ty.elements() == 0 && io.outputs[k].scalar().is_some();
        if (0..io.outputs.len()).filter(|k| io.used[*k]).all(empty) {
            return Ok(Variants { fitting: vec![Offer { variant: "empty", lowering: Lowering::empty() }], declined: vec![] });
        }
        let mut offers = Offers::new(caps);
        node.op.lower(io, &mut offers)?;
        let (offered, mut declined) = offers.finish()?;
        let mut fitting = Vec::with_capacity(offered.len());
        for offer in offered {
            match (Bindings { io, node, graph, caps }).check(&offer.lowering) {
                Ok(()) => fitting.push(offer),
                Err(reason) => declined.push(Declined { variant: offer.variant, reason }),
            }
        }
        Ok(Variants { fitting, declined })
    }
}

fn lower(graph: &Graph, node: &Node, caps: &Caps, options: &Options) -> Result<Placement> {
    let inputs = graph.input_facts(node)?;
    let mut outputs = node.op.infer(&inputs)?;
    for (fact, id) in outputs.iter_mut().zip(&node.outputs) {
        if let Some(id) = id {
            *fact = graph.fact(*id)?.clone();
        }
    }
    let used = (0..outputs.len()).map(|k| node.outputs.get(k).is_some_and(Option::is_some)).collect();
    let io = Io { inputs, outputs: outputs.iter().collect(), used, epilogue: None };
    let Variants { mut fitting, declined } = Variants::of(node, &io, graph, caps)?;
    if fitting.is_empty() {
        let last = declined.into_iter().next_back();
        return Err(last.map_or_else(|| Error::internal("lower offered no variant"), |declined| declined.reason));
    }
    let Pick { wanted, chosen, usable, signature } = pick(node, &io.inputs, &fitting, options);
    let variants = fitting.iter().map(|offer| offer.variant).collect();
    let Offer { variant, lowering } = fitting.swap_remove(wanted);
    match lowering {
        Lowering::Alias { input } => {
            let id = node.inputs.get(input).copied().flatten();
            id.map(Placement::Alias).ok_or_else(|| Error::internal("an alias of an input that is left out"))
        }
        Lowering::Dispatches { dispatches, temporaries, packed, tables, .. } => Ok(Placement::Gpu(GpuNode {
            variant,
            variants,
            declined: declined.into_iter().map(|d| (d.variant, d.reason.message().to_string())).collect(),
            usable,
            chosen,
            signature,
            dispatches,
            temporaries,
            packed,
            tables,
            outputs,
        })),
    }
}

/// Which of a node's candidates is taken.
struct Pick {
    wanted: usize,
    chosen: Chosen,
    usable: Vec<&'static str>,
    signature: Option<Signature>,
}

/// What a variant compiles.
fn kernels(offer: &Offer) -> Vec<&Kernel> {
    offer.lowering.launches().iter().map(|dispatch| &dispatch.kernel).collect()
}

/// Takes the variant that is asked for by name, else the one that was measured to be the fastest, else the first. What the
/// driver refused is taken only where nothing else is left, so that its reason is told.
fn pick(node: &Node, inputs: &[Option<&Fact>], offered: &[Offer], options: &Options) -> Pick {
    let named = |name: &str| offered.iter().position(|offer| offer.variant == name);
    let choices = &options.choices;
    let refused = |offer: &Offer| choices.refuses(node, offer.variant, kernels(offer));
    let usable: Vec<usize> = (0..offered.len()).filter(|&k| !refused(&offered[k])).collect();
    let signature = choices
        .measured
        .as_ref()
        .filter(|_| offered.len() > 1)
        .map(|_| Signature::new(node, inputs, offered.iter().map(|offer| (offer.variant, kernels(offer)))));
    let measured = signature.as_ref().and_then(|s| choices.measured.as_ref()?.get(s)).and_then(|name| named(name));
    let (wanted, chosen) = if let Some(asked) = options.variant.as_deref().and_then(named) {
        (asked, Chosen::Named)
    } else if let Some(fastest) = measured.filter(|k| usable.contains(k)) {
        (fastest, Chosen::Measured)
    } else {
        (usable.first().copied().unwrap_or(0), Chosen::Table)
    };
    Pick { wanted, chosen, usable: usable.into_iter().map(|k| offered[k].variant).collect(), signature }
}
