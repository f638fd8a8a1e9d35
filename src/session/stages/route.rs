//! Finding how a graph is run for inputs at hand, or deciding it.

use super::cut::cut;
use super::planned::{PlannedGraph, Route, Stages};
use super::prepare::prepare;
use crate::error::Result;
use crate::graph::ValueId;
use crate::passes::{self, Specialized};
use crate::session::resources::Resources;
use crate::tensor::TensorView;
use std::sync::{Arc, PoisonError};

impl PlannedGraph {
    /// How inputs like these are run; makes a plan when there is none yet.
    pub(crate) async fn route(&self, resources: &Resources<'_>, inputs: &[TensorView<'_>]) -> Result<Route> {
        if let Some(found) = self.routes.find(&self.routes.key(inputs)) {
            return Ok(found);
        }
        let _planning = self.routes.planning().await;
        loop {
            let key = self.routes.key(inputs);
            if let Some(found) = self.routes.find(&key) {
                return Ok(found);
            }
            let route = match passes::specialize(&self.graph, &key.facts(inputs))? {
                Specialized::Graph(graph) => Route::Plan(prepare(resources, &graph).await?),
                Specialized::Blocked { value, .. } if self.routes.key_by_value(&self.graph, value, inputs) => continue,
                Specialized::Blocked { value, node } => Route::Stages(self.cut(value, node, resources.options.strict_gpu)?),
            };
            self.routes.insert(key, route.clone());
            return Ok(route);
        }
    }

    /// The stages before and after a node whose output shape depends on `value`.
    fn cut(&self, value: ValueId, node: usize, strict_gpu: bool) -> Result<Arc<Stages>> {
        let mut cuts = self.cuts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stages) = cuts.get(&node) {
            return Ok(stages.clone());
        }
        let stages = Arc::new(cut(&self.graph, value, node, strict_gpu)?);
        cuts.insert(node, stages.clone());
        Ok(stages)
    }
}
