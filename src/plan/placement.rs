//! Which nodes run where, and by which kernels.

use super::{Chosen, Options, Signature};
use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Fact, Graph, Io, Node, ValueId};
use crate::kernel::{Caps, Dispatch, Kernel, Lowering, Operand, Packing};
use crate::tensor::Scalar;

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
    /// Names of all variants that were offered.
    pub variants: Vec<&'static str>,
    /// The same without those that the driver refused.
    pub usable: Vec<&'static str>,
    pub chosen: Chosen,
    /// What the choice is known by, where measurement may make it.
    pub signature: Option<Signature>,
    pub dispatches: Vec<Dispatch>,
    pub temporaries: Vec<u64>,
    pub packed: Vec<Packing>,
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
    let candidates = node.op.lower(&io, caps)?;
    let mut refusal = Error::internal("lower returned no candidate");
    let (mut variants, mut possible) = (Vec::new(), Vec::new());
    for lowering in candidates {
        match check(&lowering, &io, node, graph, caps) {
            Ok(()) => {
                variants.push(match &lowering {
                    Lowering::Alias { .. } => "alias",
                    Lowering::Dispatches { variant, .. } => variant,
                });
                possible.push(lowering);
            }
            Err(e) => refusal = e,
        }
    }
    if possible.is_empty() {
        return Err(refusal);
    }
    let Pick { wanted, chosen, usable, signature } = pick(node, &io.inputs, &variants, &possible, options);
    match possible.swap_remove(wanted) {
        Lowering::Alias { input } => {
            let id = node.inputs.get(input).copied().flatten();
            id.map(Placement::Alias).ok_or_else(|| Error::internal("an alias of an input that is left out"))
        }
        Lowering::Dispatches { variant, dispatches, temporaries, packed } => {
            Ok(Placement::Gpu(GpuNode { variant, variants, usable, chosen, signature, dispatches, temporaries, packed, outputs }))
        }
    }
}

/// Which of a node's candidates is taken.
struct Pick {
    wanted: usize,
    chosen: Chosen,
    usable: Vec<&'static str>,
    signature: Option<Signature>,
}

/// Takes the variant that is asked for by name, else the one that was measured to be the fastest, else the first. What the
/// driver refused is taken only where nothing else is left, so that its reason is told.
fn pick(node: &Node, inputs: &[Option<&Fact>], variants: &[&'static str], possible: &[Lowering], options: &Options) -> Pick {
    let named = |name: &str| variants.iter().position(|v| *v == name);
    let kernels = |k: usize| possible[k].launches().iter().map(|d| &d.kernel);
    let choices = &options.choices;
    let usable: Vec<usize> = (0..variants.len()).filter(|&k| !choices.refuses(node, variants[k], kernels(k))).collect();
    let signature = choices
        .measured
        .as_ref()
        .filter(|_| variants.len() > 1)
        .map(|_| Signature::new(node, inputs, variants.iter().enumerate().map(|(k, v)| (*v, kernels(k).collect()))));
    let measured = signature.as_ref().and_then(|s| choices.measured.as_ref()?.get(s)).and_then(|name| named(name));
    let (wanted, chosen) = if let Some(asked) = options.variant.as_deref().and_then(named) {
        (asked, Chosen::Named)
    } else if let Some(fastest) = measured.filter(|k| usable.contains(k)) {
        (fastest, Chosen::Measured)
    } else {
        (usable.first().copied().unwrap_or(0), Chosen::Table)
    };
    Pick { wanted, chosen, usable: usable.into_iter().map(|k| variants[k]).collect(), signature }
}

/// Whether a candidate can run on the adapter at all; [`Unsupported`](ErrorKind::Unsupported) when it cannot.
fn check(lowering: &Lowering, io: &Io, node: &Node, graph: &Graph, caps: &Caps) -> Result<()> {
    let on_host = |fact: &Fact, what: String| match fact.scalar() {
        Some(scalar) => Ok(scalar),
        None => Err(Error::unsupported(format!("{what} is {fact:?}, which has no GPU form"))),
    };
    let input = |k: usize| on_host(io.input(k)?, format!("input {k}"));
    let output = |k: usize| match io.outputs.get(k) {
        Some(fact) => on_host(fact, format!("output {k}")),
        None => Err(Error::internal(format!("output {k} does not exist"))),
    };
    let (dispatches, temporaries, packed) = match lowering {
        Lowering::Alias { input: k } => {
            return match input(*k)? == output(0)? && io.input(*k)?.ty.elements() == io.outputs[0].ty.elements() {
                true => Ok(()),
                false => Err(Error::internal("an alias of another element type or size")),
            };
        }
        Lowering::Dispatches { dispatches, temporaries, packed, .. } => (dispatches, temporaries, packed),
    };
    for (k, fact) in io.outputs.iter().enumerate() {
        if io.used[k] {
            on_host(fact, format!("output {k}"))?;
        }
    }
    for dispatch in dispatches {
        let kernel = &dispatch.kernel;
        if kernel.storage.len() != dispatch.bindings.len() {
            let (expected, found) = (kernel.storage.len(), dispatch.bindings.len());
            return Err(Error::internal(format!(
                "shader {} declares {expected} storage bindings, found {found}",
                kernel.shader.name
            )));
        }
        let buffers = kernel.storage.iter().filter(|access| access.is_storage()).count();
        if buffers > caps.max_storage_buffers as usize {
            let (found, limit) = (buffers, caps.max_storage_buffers);
            return Err(Error::unsupported(format!("{found} storage buffers exceed the adapter's limit of {limit}")));
        }
        if let Some(extent) = dispatch.grid.iter().find(|g| **g > caps.max_grid) {
            return Err(Error::unsupported(format!("a grid extent of {extent} exceeds the adapter's limit of {}", caps.max_grid)));
        }
        fits(kernel, caps)?;
        for (operand, access) in dispatch.bindings.iter().zip(&kernel.storage) {
            match *operand {
                Operand::Input(k) => {
                    let scalar = input(k)?;
                    if access.is_texture() && scalar != Scalar::F32 {
                        return Err(Error::internal(format!("input {k} of {scalar:?} is bound as a texture")));
                    }
                    let bytes = io.input(k)?.gpu_bytes();
                    if access.is_texture() && !caps.texture_holds(bytes) {
                        let limit = caps.max_texture;
                        return Err(Error::unsupported(format!("input {k} exceeds textures of {limit} texels along a side")));
                    }
                }
                Operand::Output(k) => drop(output(k)?),
                Operand::Temporary(k) if access.is_texture() && temporaries.get(k).is_some_and(|b| !caps.texture_holds(*b)) => {
                    let limit = caps.max_texture;
                    return Err(Error::unsupported(format!("scratch exceeds textures of {limit} texels along a side")));
                }
                Operand::Temporary(k) if k < temporaries.len() => {}
                Operand::Packed(k) if k < packed.len() => {}
                Operand::Numbers if !dispatch.numbers.is_empty() => {}
                _ => return Err(Error::internal(format!("binding {operand:?} does not exist"))),
            }
        }
    }
    for packing in packed {
        let id = node.inputs.get(packing.input).copied().flatten();
        if id.and_then(|id| graph.constant(id)).is_none() {
            return Err(Error::internal(format!("input {} is packed, but is no constant", packing.input)));
        }
    }
    Ok(())
}

/// Whether a kernel's workgroups keep within the adapter's limits.
fn fits(kernel: &Kernel, caps: &Caps) -> Result<()> {
    let beyond = |what: String, limit: &dyn std::fmt::Debug| {
        let name = kernel.shader.name;
        Err(Error::unsupported(format!("shader {name}: {what} exceed the adapter's limit of {limit:?}")))
    };
    let invocations = kernel.workgroup.iter().map(|n| u64::from(*n)).product::<u64>();
    if invocations > u64::from(caps.max_invocations) {
        return beyond(format!("workgroups of {invocations} invocations"), &caps.max_invocations);
    }
    if kernel.workgroup.iter().zip(caps.max_workgroup).any(|(found, most)| *found > most) {
        return beyond(format!("workgroups of {:?} invocations", kernel.workgroup), &caps.max_workgroup);
    }
    // Memory of a size that cannot be read off the text is left to the device to refuse.
    match kernel.workgroup_bytes() {
        Some(bytes) if bytes > u64::from(caps.max_workgroup_storage) => {
            beyond(format!("{bytes} bytes of workgroup memory"), &caps.max_workgroup_storage)
        }
        _ => Ok(()),
    }
}
