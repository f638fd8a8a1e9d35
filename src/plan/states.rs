//! How a plan writes what lasts from run to run.

use super::placement::Placement;
use super::schedule::groups;
use super::types::{PlannedState, Written};
use crate::error::Result;
use crate::graph::{Graph, State, ValueId};
use crate::tensor::{DType, Scalar};

/// The elements of a state on the GPU. States that have no form there, and 64-bit integers, of which only the host knows whether they
/// stay within bounds, are inputs and outputs like others.
pub(super) fn resident(graph: &Graph, state: &State) -> Result<Option<Scalar>> {
    let (read, written) = (graph.fact(state.input)?, graph.fact(state.output)?);
    let wide = matches!(read.dtype(), DType::I64 | DType::U64);
    Ok(read.scalar().filter(|scalar| !wide && written.scalar() == Some(*scalar)))
}

/// Whether a plan is done in one submission.
pub(super) fn is_uninterrupted(graph: &Graph, placements: &[Placement]) -> bool {
    matches!(groups(graph, placements).as_slice(), [only] if only.host.is_empty())
}

/// A state, of which it is not yet known how it is written.
pub(super) fn planned(graph: &Graph, state: &State) -> Result<PlannedState> {
    Ok(PlannedState {
        name: state.name.clone(),
        input: state.input,
        output: state.output,
        read: graph.fact(state.input)?.ty.clone(),
        result: graph.fact(state.output)?.ty.clone(),
        scalar: resident(graph, state)?,
        written: Written::Host,
        reason: String::new(),
    })
}

/// Why a state whose output is this value is not written in place.
pub(super) fn why_swapped(graph: &Graph, placements: &[Placement], output: ValueId) -> Result<String> {
    if !is_uninterrupted(graph, placements) {
        return Ok("the host interrupts the run".into());
    }
    let Some(maker) = graph.producers()[output.index()] else { return Ok("no node makes it".into()) };
    let node = &graph.nodes()[maker];
    let updates = node.op.updates(&graph.input_facts(node)?).is_some();
    let what = if updates { "is not the last that reads the old value, or writes over another" } else { "writes all of it anew" };
    Ok(format!("`{}` {what}", node.path))
}

/// Why a state is written in place.
pub(super) fn why_in_place(graph: &Graph, state: &PlannedState) -> String {
    match graph.producers()[state.output.index()] {
        Some(maker) if state.input != state.output => {
            format!("`{}` is the last that reads the old value", graph.nodes()[maker].path)
        }
        _ => "no run changes it".into(),
    }
}
