//! Measuring the variants of a graph's nodes.

use super::choose::choose;
use super::measure;
use super::trial::Trial;
use crate::error::Result;
use crate::gpu::Pipeline;
use crate::graph::Graph;
use crate::plan::{Measurable, measurable};
use crate::session::resources::Resources;
use std::sync::Arc;

/// The most variants of a node that are measured.
const MOST_CANDIDATES: usize = 4;

/// How often a node is measured when the times tell nothing.
const ATTEMPTS: usize = 3;

/// Name of a variant, and its pipelines.
type Winner = (&'static str, Vec<Arc<Pipeline>>);

/// Measures the variants of a specialised and optimised graph's nodes where the fastest is not known. Returns the pipelines of the
/// fastest variants, so that they live until the graph's plan holds them.
pub(crate) async fn tune(resources: &Resources<'_>, graph: &Graph) -> Result<Vec<Arc<Pipeline>>> {
    let (caps, choices) = (resources.gpu.caps(), resources.choices);
    if !choices.is_tuned() || !measure::is_possible(caps) {
        return Ok(vec![]);
    }
    let mut winners = Vec::new();
    let _measuring = choices.measuring().await;
    for problem in measurable(graph, caps, &resources.plan_options())? {
        if !choices.claim(&problem.key) {
            continue;
        }
        let winner = fastest(resources, graph, &problem).await?;
        if let Some((variant, _)) = &winner {
            log::debug!("{}: {variant} of {:?}", problem.key, problem.variants);
        }
        choices.record(problem.key, winner.as_ref().map(|(variant, _)| *variant));
        winners.extend(winner.into_iter().flat_map(|(_, pipelines)| pipelines));
    }
    choices.save(caps);
    Ok(winners)
}

/// The fastest of a node's variants; `None` when measurement does not tell.
async fn fastest(resources: &Resources<'_>, graph: &Graph, problem: &Measurable) -> Result<Option<Winner>> {
    let mut trials = Vec::new();
    for &variant in problem.variants.iter().take(MOST_CANDIDATES) {
        match Trial::new(resources, graph, problem.node, variant).await {
            Ok(trial) => trials.extend(trial.map(|trial| (variant, trial))),
            Err(error) if resources.gpu.is_lost() => return Err(error),
            // Scratch memory may be too small though the plan's memory is not. The other variants then cannot be compared either.
            Err(error) => {
                log::debug!("{}: {variant} cannot be measured: {error}", problem.key);
                return Ok(None);
            }
        }
    }
    let measured: Vec<&Trial> = trials.iter().map(|(_, trial)| trial).collect();
    for _ in 0..ATTEMPTS {
        if let Some(fastest) = measure::times(&measured).await?.and_then(|times| choose(&times)) {
            let (variant, trial) = &trials[fastest];
            return Ok(Some((*variant, trial.pipelines().to_vec())));
        }
    }
    Ok(None)
}
