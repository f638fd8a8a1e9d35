//! The variants of a node: which of them fit, and which one is taken.

use super::bindings::Bindings;
use super::choices::Chosen;
use super::options::PlanOptions;
use super::tuning_key::TuningKey;
use crate::error::Result;
use crate::graph::{Fact, Graph, Io, Node};
use crate::kernel::{Caps, Declined, Kernel, Lowering, Offer, Offers};

/// The variants of a node, held against what the graph has for their bindings.
pub(super) struct Variants {
    /// In order of preference.
    pub fitting: Vec<Offer>,
    pub declined: Vec<Declined>,
}

/// Which of a node's variants is taken.
pub(super) struct Pick {
    /// Its place among those that fit.
    pub wanted: usize,
    /// Why that one.
    pub chosen: Chosen,
    /// Names of those that the driver did not refuse.
    pub usable: Vec<&'static str>,
    /// What the choice is known by, where measurement may make it.
    pub key: Option<TuningKey>,
}

impl Variants {
    pub(super) fn new(node: &Node, io: &Io, graph: &Graph, caps: &Caps) -> Result<Self> {
        // A node has no work when all outputs that are read have no element, where they have a form on the GPU at all.
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

    /// Takes the variant that is asked for by name, else the one that was measured to be the fastest, else the first. A variant
    /// that the driver refused is taken only when there is no other, so that its reason is reported.
    pub(super) fn pick(&self, node: &Node, inputs: &[Option<&Fact>], options: &PlanOptions) -> Pick {
        let (fitting, choices) = (&self.fitting, &options.choices);
        let named = |name: &str| fitting.iter().position(|offer| offer.variant == name);
        let refused = |offer: &Offer| choices.refuses(node, offer.variant, kernels(offer));
        let usable: Vec<usize> = (0..fitting.len()).filter(|&k| !refused(&fitting[k])).collect();
        let measured = choices.measured.as_ref().filter(|_| fitting.len() > 1);
        let key = measured.map(|_| TuningKey::new(node, inputs, fitting.iter().map(|offer| (offer.variant, kernels(offer)))));
        let fastest = measured.zip(key.as_ref()).and_then(|(measured, key)| named(measured.get(key)?));
        let (wanted, chosen) = if let Some(asked) = options.variant.as_deref().and_then(named) {
            (asked, Chosen::Named)
        } else if let Some(fastest) = fastest.filter(|k| usable.contains(k)) {
            (fastest, Chosen::Measured)
        } else {
            (usable.first().copied().unwrap_or(0), Chosen::Table)
        };
        Pick { wanted, chosen, usable: usable.into_iter().map(|k| fitting[k].variant).collect(), key }
    }
}

/// What a variant compiles.
fn kernels(offer: &Offer) -> Vec<&Kernel> {
    offer.lowering.launches().iter().map(|dispatch| &dispatch.kernel).collect()
}
