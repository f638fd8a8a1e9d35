//! Stages on sequences: what arranges their tensors and leaves them where they lie, and graphs that are computed for each of them.

use super::planned::{MapStage, Part, PlannedGraph, Stage, Stages};
use super::runner::{Runner, StageValues};
use super::steady::rest;
use crate::error::Result;
use crate::gpu::{Copy, GpuBuffer, Opaque, Recording, Role};
use crate::graph::{Graph, Node, Structure, ValueId};
use crate::ops::flow::arrange::{Arranged, Arrangement};
use crate::session::data::held::{GpuTensor, Held};
use std::sync::Arc;

/// The operator of a node that only arranges tensors.
pub(super) fn arrangement(node: &Node) -> Option<Arrangement> {
    node.op.flow()?.downcast::<Arrangement>().copied()
}

impl PlannedGraph {
    /// The stages of a graph that is given sequences and starts or ends by editing them. What lies between is then planned without
    /// knowing how long they are: a loop that adds a tensor to a sequence in each turn has one plan.
    pub(super) fn arranged(&self, inputs: &[Structure<Held<'_>>]) -> Option<Arc<Stages>> {
        if !inputs.iter().any(|input| matches!(input, Structure::Sequence(_))) {
            return None;
        }
        self.arranged.get_or_init(|| arranged(&self.graph, &self.resident).map(Arc::new)).clone()
    }
}

/// When a node is done.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    First,
    Between,
    Last,
}

/// The stages of a graph whose first nodes, or last ones, edit sequences; `None` where there are no such nodes.
fn arranged(graph: &Arc<Graph>, resident: &[bool]) -> Option<Stages> {
    let when = order(graph);
    let nodes = |wanted: When| graph.nodes().iter().zip(&when).filter(move |(_, when)| **when == wanted).map(|(node, _)| node);
    let edits = |node: &Node| {
        matches!(arrangement(node), Some(Arrangement::SequenceInsert | Arrangement::SequenceErase | Arrangement::SequenceAt))
    };
    if !nodes(When::First).chain(nodes(When::Last)).any(edits) {
        return None;
    }
    let mut stages: Vec<Stage> = nodes(When::First).cloned().map(Stage::Arrange).collect();
    let between: Vec<Node> = nodes(When::Between).cloned().collect();
    if !between.is_empty() {
        let made: Vec<ValueId> = between.iter().flat_map(|node| node.outputs.iter().flatten()).copied().collect();
        let read = between.iter().flat_map(|node| node.inputs.iter().flatten());
        let inputs = distinct(read.copied().filter(|id| !made.contains(id) && graph.constant(*id).is_none()));
        let later = nodes(When::Last).flat_map(|node| node.inputs.iter().flatten()).chain(graph.outputs());
        let outputs = distinct(later.copied().filter(|id| made.contains(id)));
        // What goes into a sequence goes where the outputs go.
        let stays = |id: &ValueId| match graph.outputs().iter().position(|output| output == id) {
            Some(place) => resident[place],
            None => resident.iter().all(|resident| *resident),
        };
        let resident = outputs.iter().map(stays).collect();
        stages.push(Stage::Part(Box::new(Part::new(between, inputs, outputs, resident))));
    }
    stages.extend(nodes(When::Last).cloned().map(Stage::Arrange));
    Some(Stages { graph: graph.clone(), stages })
}

/// For each node of a graph, when it is done: those that arrange what the graph is given come first, those that arrange what it computes
/// last. How long a sequence is counts as computed: shapes may depend on it.
fn order(graph: &Graph) -> Vec<When> {
    let arranges = |node: &Node| arrangement(node).is_some_and(|arrangement| arrangement != Arrangement::SequenceLength);
    let mut when = vec![When::Between; graph.nodes().len()];
    let mut there: Vec<bool> = graph.values().iter().map(|value| value.constant.is_some()).collect();
    graph.inputs().iter().for_each(|input| there[input.value.index()] = true);
    for (node, when) in graph.nodes().iter().zip(&mut when) {
        if arranges(node) && node.inputs.iter().flatten().all(|id| there[id.index()]) {
            *when = When::First;
            node.outputs.iter().flatten().for_each(|id| there[id.index()] = true);
        }
    }
    let mut read = vec![false; graph.values().len()];
    for (node, when) in graph.nodes().iter().zip(&mut when).rev() {
        if *when == When::First {
            continue;
        }
        if arranges(node) && !node.outputs.iter().flatten().any(|id| read[id.index()]) {
            *when = When::Last;
        } else {
            node.inputs.iter().flatten().for_each(|id| read[id.index()] = true);
        }
    }
    when
}

/// Each value once, in the order of their first appearance.
fn distinct(ids: impl Iterator<Item = ValueId>) -> Vec<ValueId> {
    let mut distinct = Vec::new();
    ids.for_each(|id| {
        if !distinct.contains(&id) {
            distinct.push(id)
        }
    });
    distinct
}

impl Runner<'_> {
    /// Arranges tensors, which stay where they lie; only a position is brought to the host.
    pub(super) async fn arrange(&self, node: &Node, values: &mut StageValues<'_, '_>) -> Result<()> {
        let Some(arrangement) = arrangement(node) else { return Ok(()) };
        let inputs = values.all(node.inputs.iter().copied())?;
        let position = match arrangement.position(&inputs) {
            Some(index) => Some(self.tensor(inputs[index].tensor()?).await?),
            None => None,
        };
        let output = match arrangement.arrange(&inputs, position.as_ref(), |held| Ok(held.ty().dtype))? {
            Arranged::Given(structure) => structure,
            Arranged::Known(tensor) => Structure::Tensor(Held::host(tensor)),
        };
        values.insert(node.outputs.iter().copied(), vec![output]);
        Ok(())
    }

    /// Computes a graph for each tensor of a sequence.
    pub(super) async fn map<'a>(&self, stage: &MapStage, inputs: Vec<Structure<Held<'a>>>) -> Result<Vec<Structure<Held<'a>>>> {
        let mut outputs = vec![vec![]; stage.body.planned.graph.outputs().len()];
        for index in 0..stage.map.length(&inputs)? {
            // Whoever drops the run ends this.
            rest().await;
            let arguments = stage.body.arguments(stage.map.given(&inputs, index), &inputs);
            let made = self.outputs(&stage.body.planned, arguments).await?;
            for (output, tensor) in outputs.iter_mut().zip(&made) {
                output.push(self.apart(tensor.tensor()?).await?);
            }
        }
        Ok(outputs.into_iter().map(Structure::Sequence).collect())
    }

    /// A sequence that goes from turn to turn, with what the last turn added to it in buffers of its own: the instance that made a
    /// tensor is needed by the next turn.
    pub(super) async fn carried<'a>(
        &self,
        before: &Structure<Held<'a>>,
        after: Structure<Held<'a>>,
    ) -> Result<Structure<Held<'a>>> {
        let Structure::Sequence(tensors) = after else { return Ok(after) };
        let mut own = Vec::with_capacity(tensors.len());
        for tensor in tensors {
            let was_there = before.tensors().iter().any(|other| other.is(&tensor));
            own.push(if was_there { tensor } else { self.apart(&tensor).await? });
        }
        Ok(Structure::Sequence(own))
    }

    /// A tensor outside of the instance that made it.
    async fn apart<'a>(&self, tensor: &Held<'a>) -> Result<Held<'a>> {
        let (None, Some(gpu)) = (tensor.on_host(), tensor.on_gpu()) else { return Ok(tensor.clone().without_gpu()) };
        let (device, tally) = (self.resources.gpu, self.resources.tally);
        let lent = Opaque::new(device.lend("a tensor of a sequence", gpu.bytes(), Role::Storage, tally).await?);
        if gpu.bytes() > 0 {
            let before = [Copy { from: gpu.range(), to: &lent, offset: 0 }];
            device.submit(&[Recording { before: &before, ..Recording::default() }]).await?;
        }
        let (buffer, _keeper) = (GpuBuffer::clone(&lent), Some(lent.keeper()));
        Ok(Held::gpu(GpuTensor { buffer, offset: 0, _keeper, ..gpu.clone() }))
    }
}
