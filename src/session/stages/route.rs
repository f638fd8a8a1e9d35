//! Finding how a graph is run for inputs at hand, or deciding it.

use super::cut::{Cut, cut};
use super::planned::{PlannedGraph, Route, Stages};
use super::prepare::{Wanted, prepare};
use super::sequences::arrangement;
use crate::error::{Error, Result};
use crate::graph::{OpExt, Structure};
use crate::ops::gradient::Gradient;
use crate::passes::{self, Ends, Specialized};
use crate::session::data::held::Held;
use crate::session::planning::key::MAX_VALUE_ELEMENTS;
use crate::session::resources::Resources;
use std::sync::{Arc, PoisonError};

impl PlannedGraph {
    /// How inputs like these are run; makes a plan when there is none yet. Brings to the host what the plan depends on.
    pub(crate) async fn route(&self, resources: &Resources<'_>, inputs: &mut [Structure<Held<'_>>]) -> Result<Route> {
        if let Some(stages) = self.arranged(inputs) {
            return Ok(Route::Stages(stages));
        }
        self.fetch(resources, inputs).await?;
        if let Some(found) = self.routes.find(&self.routes.key(inputs)) {
            return Ok(found);
        }
        let _planning = self.routes.planning().await;
        loop {
            self.fetch(resources, inputs).await?;
            let key = self.routes.key(inputs);
            if let Some(found) = self.routes.find(&key) {
                return Ok(found);
            }
            let (specialized, ends) = passes::specialize_structures(&self.graph, &key.facts(inputs))?;
            let route = match specialized {
                Specialized::Graph(graph) => {
                    let loaded =
                        prepare(resources, &graph, &Wanted { resident: self.staying_values(&ends), checks_inputs: true }).await?;
                    Route::Plan(loaded, Arc::new(ends))
                }
                // A position in a sequence is read in the run: it may be another one in each.
                Specialized::Blocked { value, node }
                    if arrangement(&self.graph.nodes()[node]).is_none() && self.routes.key_by_value(&self.graph, value, inputs) =>
                {
                    continue;
                }
                Specialized::Blocked { value, node } => {
                    Route::Stages(self.cut(Cut::Value(value, node), resources.options.strict_gpu)?)
                }
                Specialized::Stage { node } => Route::Stages(self.cut(Cut::Stage(node), resources.options.strict_gpu)?),
            };
            self.routes.insert(key, route.clone());
            return Ok(route);
        }
    }

    /// Brings to the host those inputs whose contents plans depend on.
    async fn fetch(&self, resources: &Resources<'_>, inputs: &mut [Structure<Held<'_>>]) -> Result<()> {
        for k in self.routes.values() {
            if let Some(Structure::Tensor(held)) = inputs.get_mut(k)
                && held.ty().elements() <= MAX_VALUE_ELEMENTS
            {
                held.fetch(resources.gpu, resources.tally).await?;
            }
        }
        Ok(())
    }

    /// The outputs of the specialised graph that stay on the GPU.
    fn staying_values(&self, ends: &Ends) -> Vec<crate::graph::ValueId> {
        let resident = ends.outputs.iter().zip(&self.resident).filter(|(_, resident)| **resident);
        resident.flat_map(|(output, _)| output.tensors().iter().copied()).collect()
    }

    /// The stages before and after a node.
    fn cut(&self, at: Cut, strict_gpu: bool) -> Result<Arc<Stages>> {
        if self.graph.nodes().iter().any(|node| node.op.downcast::<Gradient>().is_some()) {
            let message = "gradients go through no network that runs in stages: what this node does is known in the run only";
            return Err(Error::unsupported(message).at(&self.graph.nodes()[at.node()].path));
        }
        let mut cuts = self.cuts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stages) = cuts.get(&at.node()) {
            return Ok(stages.clone());
        }
        let stages = Arc::new(cut(&self.graph, &self.resident, at, strict_gpu)?);
        cuts.insert(at.node(), stages.clone());
        Ok(stages)
    }
}
