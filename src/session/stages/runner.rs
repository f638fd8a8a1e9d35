//! The one runner: the outputs of a graph by its plan, or by its stages one after another.

use super::planned::{PlannedGraph, Route, Stage, Stages};
use crate::error::{ErrorKind, Result};
use crate::session::execution::values::HostValues;
use crate::session::resources::Resources;
use crate::session::timing::recorder::Recorder;
use crate::tensor::{Tensor, TensorView};

/// What a run is done with.
#[derive(Clone, Copy)]
pub(crate) struct Runner<'a> {
    pub resources: Resources<'a>,
    /// Takes the time of every dispatch.
    pub recorder: Option<&'a Recorder>,
}

impl Runner<'_> {
    /// The graph's outputs for these inputs, in order. When the device has no memory left, the graph's other plans give up theirs.
    pub(crate) async fn outputs(&self, planned: &PlannedGraph, inputs: &[TensorView<'_>]) -> Result<Vec<Tensor>> {
        match self.attempt(planned, inputs).await {
            Err(error) if error.kind() == ErrorKind::OutOfMemory => {
                log::warn!("{error}; trying again without the buffers of other plans");
                planned.routes.clear();
                self.resources.gpu.trim();
                self.attempt(planned, inputs).await
            }
            result => result,
        }
    }

    async fn attempt(&self, planned: &PlannedGraph, inputs: &[TensorView<'_>]) -> Result<Vec<Tensor>> {
        let given = planned.graph.inputs().iter().map(|i| i.value).zip(inputs.iter().copied());
        match planned.route(&self.resources, inputs).await? {
            Route::Plan(loaded) => {
                let mut values = HostValues::new(&loaded.plan().graph, given);
                loaded.execute(&mut values, self.recorder).await?;
                values.outputs()
            }
            Route::Stages(stages) => {
                let mut values = HostValues::new(&stages.graph, given);
                Box::pin(self.walk(&stages, &mut values)).await?;
                values.outputs()
            }
        }
    }

    /// Goes through the stages of a graph; all its values that later stages need are in `values` afterwards.
    async fn walk(&self, stages: &Stages, values: &mut HostValues<'_>) -> Result<()> {
        for stage in &stages.stages {
            match stage {
                Stage::Node(node) => values.compute(node)?,
                Stage::Part(part) => {
                    let inputs = part.inputs.iter().map(|id| values.view(*id)).collect::<Result<Vec<_>>>()?;
                    let planned = part.planned(&stages.graph, &inputs);
                    let outputs = Box::pin(self.outputs(planned, &inputs)).await?;
                    part.outputs.iter().zip(outputs).for_each(|(id, tensor)| values.insert(*id, tensor));
                }
            }
        }
        Ok(())
    }
}
