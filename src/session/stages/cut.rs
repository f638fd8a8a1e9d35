//! Data-dependent shapes: a graph cut in two where a shape in the second part depends on data of the first.

use super::planned::{Context, Unit, ancestors};
use crate::error::{Error, Result};
use crate::graph::{Graph, Input, Node, ValueId};
use crate::session::Options;
use crate::tensor::{Tensor, TensorView};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// A graph in two parts: the first runs, then perhaps one node on the host, then the second with what they made as inputs.
pub(crate) struct Split {
    graph: Arc<Graph>,
    /// What the blocking value depends on.
    head: Unit,
    /// The node whose output shape depends on data, when it runs on the host.
    node: Option<Node>,
    /// The rest; its inputs have types only once the first part has run.
    tail: OnceLock<Unit>,
    tail_nodes: Vec<Node>,
    tail_inputs: Vec<ValueId>,
}

impl Split {
    /// Cuts `graph` before node `blocked`, whose output shape depends on `value`.
    ///
    /// A value that the first part computes becomes an input of the second, which is then planned for its contents if it
    /// is small. Otherwise, or when the node reads nothing else, the node itself runs on the host in between, so that the
    /// second part is planned for the shape of its result.
    pub(crate) fn new(graph: &Arc<Graph>, value: ValueId, blocked: usize, options: &Options) -> Result<Split> {
        let node = &graph.nodes()[blocked];
        let computed = graph.producers()[value.index()].is_some();
        let alone = node.inputs.iter().flatten().all(|id| *id == value || graph.constant(*id).is_some());
        let on_host = !computed || alone;
        if on_host && options.strict_gpu {
            let name = &graph.value(value).name;
            let message = format!(
                "the node would run on the host, which strict_gpu forbids: its output shape depends on the data of `{name}`"
            );
            return Err(Error::unsupported(message).at(&node.path));
        }
        let wanted: Vec<ValueId> = if on_host { node.inputs.iter().flatten().copied().collect() } else { vec![value] };
        let (in_head, _) = ancestors(graph, wanted.iter().copied());
        let nodes = || graph.nodes().iter().enumerate();
        let head_nodes: Vec<Node> = nodes().filter(|(k, _)| in_head[*k]).map(|(_, n)| n.clone()).collect();
        let host = on_host.then_some(blocked);
        let tail_nodes: Vec<Node> = nodes().filter(|(k, _)| !in_head[*k] && host != Some(*k)).map(|(_, n)| n.clone()).collect();
        let made = |nodes: &[Node]| flags(graph, nodes.iter().flat_map(|n| n.outputs.iter().flatten()));
        let (by_head, by_tail) = (made(&head_nodes), made(&tail_nodes));
        let read_by_tail = tail_nodes.iter().flat_map(|n| n.inputs.iter().flatten()).chain(graph.outputs());
        let mut tail_inputs: Vec<ValueId> = Vec::new();
        for id in read_by_tail {
            if !by_tail[id.index()] && graph.constant(*id).is_none() && !tail_inputs.contains(id) {
                tail_inputs.push(*id);
            }
        }
        let mut head_outputs: Vec<ValueId> = Vec::new();
        for id in wanted.iter().chain(&tail_inputs) {
            if by_head[id.index()] && !head_outputs.contains(id) {
                head_outputs.push(*id);
            }
        }
        let read_by_head = flags(graph, head_nodes.iter().flat_map(|n| n.inputs.iter().flatten()));
        let head_inputs = graph.inputs().iter().filter(|i| read_by_head[i.value.index()]).cloned().collect();
        let head = part(graph, head_nodes, head_inputs, head_outputs);
        let node = on_host.then(|| node.clone());
        Ok(Split { graph: graph.clone(), head: Unit::new(Arc::new(head)), node, tail: OnceLock::new(), tail_nodes, tail_inputs })
    }

    /// The whole graph's outputs, in order.
    pub(crate) async fn run(&self, context: &Context<'_>, inputs: &[TensorView<'_>]) -> Result<Vec<Tensor>> {
        let given: HashMap<ValueId, TensorView<'_>> =
            self.graph.inputs().iter().map(|i| i.value).zip(inputs.iter().copied()).collect();
        let mut made: HashMap<ValueId, Tensor> = HashMap::new();
        let missing = |id: ValueId| Error::internal(format!("`{}` was not computed", self.graph.value(id).name));
        let head = self.head.graph();
        if !head.nodes().is_empty() {
            let views: Option<Vec<TensorView<'_>>> = head.inputs().iter().map(|i| given.get(&i.value).copied()).collect();
            let views = views.ok_or_else(|| Error::internal("an input of a stage is missing"))?;
            let tensors = Box::pin(self.head.run(context, &views)).await?;
            made.extend(head.outputs().iter().copied().zip(tensors));
        }
        if let Some(node) = &self.node {
            let tensor = |id: ValueId| match made.get(&id).or(self.graph.constant(id)) {
                Some(tensor) => Ok(tensor.clone()),
                None => given.get(&id).map(TensorView::to_tensor).ok_or_else(|| missing(id)),
            };
            let inputs: Vec<Option<Tensor>> = node.inputs.iter().map(|i| i.map(tensor).transpose()).collect::<Result<_>>()?;
            let results =
                node.op.reference(&inputs.iter().map(Option::as_ref).collect::<Vec<_>>()).map_err(|e| e.at(&node.path))?;
            made.extend(node.outputs.iter().zip(results).filter_map(|(id, t)| Some(((*id)?, t))));
        }
        let view = |id: &ValueId| made.get(id).map(Tensor::view).or(given.get(id).copied()).ok_or_else(|| missing(*id));
        let views: Vec<TensorView<'_>> = self.tail_inputs.iter().map(view).collect::<Result<_>>()?;
        let tail = self.tail.get_or_init(|| {
            let input = |(value, view): (&ValueId, &TensorView<'_>)| Input { value: *value, dtype: view.dtype(), dims: None };
            let inputs = self.tail_inputs.iter().zip(&views).map(input).collect();
            Unit::new(Arc::new(part(&self.graph, self.tail_nodes.clone(), inputs, self.graph.outputs().to_vec())))
        });
        Box::pin(tail.run(context, &views)).await
    }
}

fn part(graph: &Graph, nodes: Vec<Node>, inputs: Vec<Input>, outputs: Vec<ValueId>) -> Graph {
    Graph { nodes, inputs, outputs, ..graph.clone() }
}

fn flags<'a>(graph: &Graph, ids: impl Iterator<Item = &'a ValueId>) -> Vec<bool> {
    let mut flags = vec![false; graph.values().len()];
    ids.for_each(|id| flags[id.index()] = true);
    flags
}
