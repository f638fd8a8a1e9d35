//! The one runner: the outputs of a graph by its plan, or by its stages one after another.

use super::planned::{BranchStage, PlannedBody, PlannedGraph, Route, Stage, Stages};
use crate::error::{Error, ErrorKind, Result};
use crate::gpu::{BoxedFuture, boxed};
use crate::graph::{Graph, Node, Structure, ValueId};
use crate::passes::Ends;
use crate::session::data::held::Held;
use crate::session::execution::execute::execute;
use crate::session::execution::values::Values;
use crate::session::resources::Resources;
use crate::session::timing::recorder::Recorder;
use crate::tensor::Tensor;
use std::collections::HashMap;

/// What a run is done with.
#[derive(Clone, Copy)]
pub(crate) struct Runner<'a> {
    pub resources: Resources<'a>,
    /// Takes the time of every dispatch.
    pub recorder: Option<&'a Recorder>,
}

/// The values of a graph that runs in stages, as far as they are there.
pub(super) struct StageValues<'g, 'a> {
    graph: &'g Graph,
    held: HashMap<ValueId, Structure<Held<'a>>>,
}

impl<'a> StageValues<'_, 'a> {
    /// A value; an argument that is left out is absent.
    fn get(&self, id: Option<ValueId>) -> Result<Structure<Held<'a>>> {
        let Some(id) = id else { return Ok(Structure::Absent) };
        if let Some(found) = self.held.get(&id) {
            return Ok(found.clone());
        }
        let constant = self.graph.constant(id).cloned().map(|tensor| Structure::Tensor(Held::host(tensor)));
        constant.ok_or_else(|| Error::internal(format!("`{}` is not there yet", self.graph.value(id).name)))
    }

    pub(super) fn all(&self, ids: impl Iterator<Item = Option<ValueId>>) -> Result<Vec<Structure<Held<'a>>>> {
        ids.map(|id| self.get(id)).collect()
    }

    pub(super) fn insert(&mut self, ids: impl Iterator<Item = Option<ValueId>>, values: Vec<Structure<Held<'a>>>) {
        self.held.extend(ids.zip(values).filter_map(|(id, value)| Some((id?, value))));
    }
}

impl Runner<'_> {
    /// The graph's outputs for these inputs, in order. When the device has no memory left, the graph's other plans give up theirs.
    pub(crate) fn outputs<'s, 'a: 's>(
        &'s self,
        planned: &'s PlannedGraph,
        mut inputs: Vec<Structure<Held<'a>>>,
    ) -> BoxedFuture<'s, Result<Vec<Structure<Held<'a>>>>> {
        boxed(async move {
            match self.attempt(planned, &mut inputs).await {
                Err(error) if error.kind() == ErrorKind::OutOfMemory => {
                    log::warn!("{error}; trying again without the buffers of other plans");
                    planned.routes.clear();
                    self.resources.gpu.trim_buffers();
                    self.attempt(planned, &mut inputs).await
                }
                result => result,
            }
        })
    }

    /// A value on the host.
    pub(super) async fn fetched(&self, value: &Structure<Held<'_>>) -> Result<Structure<Tensor>> {
        let mut tensors = Vec::with_capacity(value.tensors().len());
        for tensor in value.tensors() {
            tensors.push(self.tensor(tensor).await?);
        }
        let mut tensors = tensors.into_iter();
        value.try_map(|_| tensors.next().ok_or_else(|| Error::internal("a value of more tensors than were read")))
    }

    async fn attempt<'a>(&self, planned: &PlannedGraph, inputs: &mut [Structure<Held<'a>>]) -> Result<Vec<Structure<Held<'a>>>> {
        match planned.route(&self.resources, inputs).await? {
            Route::Plan(loaded, ends) => {
                let given = given(&ends, inputs);
                let mut values = Values::new(&loaded.plan().graph, given.into_iter());
                let keep = planned.resident.contains(&true);
                execute(&loaded, &mut values, self.recorder, keep, None).await?;
                ends.outputs.iter().map(|output| output.try_map(|id| loaded.output(&values, *id))).collect()
            }
            Route::Stages(stages) => self.walk(&stages, inputs).await,
        }
    }

    /// Goes through the stages of a graph, and gives its outputs.
    pub(super) async fn walk<'a>(&self, stages: &Stages, inputs: &[Structure<Held<'a>>]) -> Result<Vec<Structure<Held<'a>>>> {
        let graph = &stages.graph;
        let given = graph.inputs().iter().map(|input| input.value).zip(inputs.iter().cloned());
        let mut values = StageValues { graph, held: given.collect() };
        for stage in &stages.stages {
            match stage {
                Stage::Node(node) => self.node(node, &mut values).await.map_err(|e| e.at(&node.path))?,
                Stage::Arrange(node) => self.arrange(node, &mut values).await.map_err(|e| e.at(&node.path))?,
                Stage::Map(stage) => {
                    let inputs = values.all(stage.node.inputs.iter().copied())?;
                    let outputs = self.map(stage, inputs).await.map_err(|e| e.at(&stage.node.path))?;
                    values.insert(stage.node.outputs.iter().copied(), outputs);
                }
                Stage::Part(part) => {
                    let inputs = values.all(part.inputs.iter().copied().map(Some))?;
                    let outputs = self.outputs(part.planned(graph, &inputs), inputs).await?;
                    values.insert(part.outputs.iter().copied().map(Some), outputs);
                }
                Stage::Loop(stage) => {
                    let inputs = values.all(stage.node.inputs.iter().copied())?;
                    let outputs = self.turns(stage, inputs).await.map_err(|e| e.at(&stage.node.path))?;
                    values.insert(stage.node.outputs.iter().copied(), outputs);
                }
                Stage::Branch(stage) => {
                    let inputs = values.all(stage.node.inputs.iter().copied())?;
                    let outputs = self.branch(stage, inputs).await.map_err(|e| e.at(&stage.node.path))?;
                    values.insert(stage.node.outputs.iter().copied(), outputs);
                }
            }
        }
        values.all(graph.outputs().iter().copied().map(Some))
    }

    /// Does a node on the host.
    async fn node<'a>(&self, node: &Node, values: &mut StageValues<'_, 'a>) -> Result<()> {
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for input in values.all(node.inputs.iter().copied())? {
            inputs.push(self.fetched(&input).await?);
        }
        let outputs: Vec<Structure<Tensor>> = match node.op.flow() {
            Some(flow) => flow.evaluate(&inputs, self.resources.options.max_turns)?,
            None => {
                let tensor = |input| if let &Structure::Absent = input { Ok(None) } else { input.tensor().map(Some) };
                let inputs = inputs.iter().map(tensor).collect::<Result<Vec<_>>>()?;
                node.op.reference(&inputs)?.into_iter().map(Structure::Tensor).collect()
            }
        };
        let outputs = outputs.iter().map(|output| output.map(|tensor| Held::host(tensor.clone()))).collect();
        values.insert(node.outputs.iter().copied(), outputs);
        Ok(())
    }

    /// Computes one of two graphs.
    async fn branch<'a>(&self, stage: &BranchStage, inputs: Vec<Structure<Held<'a>>>) -> Result<Vec<Structure<Held<'a>>>> {
        let condition = self.tensor(inputs.first().unwrap_or(&Structure::Absent).tensor()?).await?;
        let taken = stage.choice.takes_first(&condition)?;
        let body = if taken { &stage.then_branch } else { &stage.else_branch };
        self.outputs(&body.planned, body.arguments(vec![], &inputs)).await
    }

    /// A tensor on the host.
    pub(super) async fn tensor(&self, held: &Held<'_>) -> Result<Tensor> {
        held.tensor(self.resources.gpu, self.resources.tally).await
    }
}

impl PlannedBody {
    /// All inputs of the graph: what the operator gives, then what is captured.
    pub(super) fn arguments<'a>(
        &self,
        given: Vec<Structure<Held<'a>>>,
        inputs: &[Structure<Held<'a>>],
    ) -> Vec<Structure<Held<'a>>> {
        let captured = self.captured.iter().map(|index| inputs.get(*index).cloned().unwrap_or(Structure::Absent));
        given.into_iter().chain(captured).collect()
    }
}

/// The inputs of a specialised graph.
pub(super) fn given<'a>(ends: &Ends, inputs: &[Structure<Held<'a>>]) -> Vec<(ValueId, Held<'a>)> {
    let pairs = ends.inputs.iter().zip(inputs);
    pairs.flat_map(|(ids, held)| ids.tensors().iter().copied().zip(held.tensors().iter().cloned())).collect()
}
