//! The nodes that measurement may choose a variant for.

use super::choices::Chosen;
use super::in_place::place;
use super::options::PlanOptions;
use super::placement::Placement;
use super::tuning_key::TuningKey;
use crate::error::Result;
use crate::graph::Graph;
use crate::kernel::Caps;

/// A node that can run by several variants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measurable {
    /// Index into the graph's nodes.
    pub node: usize,
    /// What its choice is known by.
    pub key: TuningKey,
    /// The variants, in order of preference; refused ones are left out.
    pub variants: Vec<&'static str>,
}

/// The nodes of a specialised graph that measurement may choose a variant for. There is none unless the options'
/// [`Choices::measured`](super::Choices::measured) is given.
///
/// # Errors
/// As [`Plan::new`](super::Plan::new).
pub fn measurable(graph: &Graph, caps: &Caps, options: &PlanOptions) -> Result<Vec<Measurable>> {
    let placements = place(graph, caps, options)?.0.into_iter().enumerate();
    let measurable = |(node, placement)| match placement {
        Placement::Gpu(work) if work.chosen != Chosen::Named && work.usable.len() > 1 => {
            Some(Measurable { node, key: work.key?, variants: work.usable })
        }
        _ => None,
    };
    Ok(placements.filter_map(measurable).collect())
}
