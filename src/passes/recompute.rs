//! What gradients need of values before a [`Checkpoint`], computed anew. It is kept apart from what the forward pass computed by what it starts from,
//! so that no deduplication undoes it.

use crate::error::Result;
use crate::graph::{Node, NodeId, OpExt, ValueId, Writer};
use crate::ops::recompute::{Checkpoint, held};
use std::collections::{HashMap, HashSet};

/// What the paths of nodes that are computed anew end with.
pub(crate) const AGAIN: &str = "(again)";

/// The forward pass as gradients find it.
#[derive(Debug, Default)]
pub(super) struct Recompute {
    /// Values that checkpoints were computed from, and that change with what a run is given. Only these are computed anew.
    before: HashSet<ValueId>,
    /// What was computed anew since the last checkpoint on the way back.
    anew: HashMap<ValueId, ValueId>,
    /// The gradient at that checkpoint.
    after: Option<ValueId>,
}

impl Recompute {
    /// Looks at the nodes of a forward pass, in an order in which they run.
    pub(super) fn new(writer: &Writer, forward: &[NodeId]) -> Self {
        let nodes: Vec<&Node> = forward.iter().filter_map(|id| writer.node(*id)).collect();
        if !nodes.iter().any(|node| node.op.downcast::<Checkpoint>().is_some()) {
            return Recompute::default();
        }
        let mut varies: HashSet<ValueId> = writer.given().into_iter().collect();
        for node in &nodes {
            if node.inputs.iter().flatten().any(|input| varies.contains(input)) {
                varies.extend(node.outputs.iter().flatten());
            }
        }
        let mut before = HashSet::new();
        for node in nodes.iter().rev() {
            let is_before =
                node.op.downcast::<Checkpoint>().is_some() || node.outputs.iter().flatten().any(|id| before.contains(id));
            if is_before {
                before.extend(node.inputs.iter().flatten().filter(|id| varies.contains(id)));
            }
        }
        Recompute { before, anew: HashMap::new(), after: None }
    }

    /// A node as its gradient is written: with what it reads and makes computed anew, where it stands before a checkpoint.
    pub(super) fn node(&mut self, node: &Node, upstream: &[Option<ValueId>], writer: &mut Writer) -> Result<Node> {
        let Some(worth) = upstream.iter().flatten().next().copied() else { return Ok(node.clone()) };
        if node.op.downcast::<Checkpoint>().is_some() {
            self.anew.clear();
            self.after = Some(worth);
            return Ok(node.clone());
        }
        if !node.outputs.iter().flatten().any(|id| self.before.contains(id)) {
            return Ok(node.clone());
        }
        let after = *self.after.get_or_insert(worth);
        let mut anew = node.clone();
        for value in anew.inputs.iter_mut().chain(&mut anew.outputs).flatten() {
            *value = self.value(*value, after, writer)?;
        }
        Ok(anew)
    }

    /// A value computed anew.
    fn value(&mut self, value: ValueId, after: ValueId, writer: &mut Writer) -> Result<ValueId> {
        // Depth first with an own stack: chains may be deeper than the thread's.
        let mut stack = vec![value];
        while let Some(next) = stack.last().copied() {
            if self.anew.contains_key(&next) || !self.before.contains(&next) {
                stack.pop();
                continue;
            }
            let maker = writer.maker(next).filter(|node| node.op.downcast::<Checkpoint>().is_none()).cloned();
            let Some(maker) = maker else {
                // What a run is given, and what was kept.
                let kept = writer.apply_all(held(), &[Some(next), Some(after)], 1)?;
                self.anew.extend(kept.first().map(|kept| (next, *kept)));
                stack.pop();
                continue;
            };
            let missing = |id: &&ValueId| self.before.contains(id) && !self.anew.contains_key(id);
            let missing: Vec<ValueId> = maker.inputs.iter().flatten().filter(missing).copied().collect();
            if !missing.is_empty() {
                stack.extend(missing);
                continue;
            }
            self.write(&maker, writer)?;
            stack.pop();
        }
        Ok(self.anew.get(&value).copied().unwrap_or(value))
    }

    /// Writes a node once more, on what it reads anew.
    fn write(&mut self, maker: &Node, writer: &mut Writer) -> Result<()> {
        let inputs = maker.inputs.iter().map(|id| id.map(|id| self.anew.get(&id).copied().unwrap_or(id))).collect();
        let mut outputs = Vec::with_capacity(maker.outputs.len());
        for output in &maker.outputs {
            outputs.push(match output {
                Some(output) => {
                    let (name, fact) = (format!("{}{AGAIN}", writer.get(*output).name), writer.fact(*output)?.clone());
                    let made = writer.value(&name, Some(fact));
                    self.anew.insert(*output, made);
                    Some(made)
                }
                None => None,
            });
        }
        let path = format!("{}{AGAIN}", maker.path);
        writer.push(Node { path, op: maker.op.clone(), inputs, outputs });
        Ok(())
    }
}
