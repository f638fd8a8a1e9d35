//! The order in which nodes are imported: every value before its uses.

use super::proto::{AttributeProto, GraphProto, NodeProto};
use crate::error::{Error, Result};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

/// A sequence of the nodes in which each stands after those that make its inputs; the order of the file where that
/// allows it. (The specification asks files to be sorted, but not all are.)
pub(super) fn order(nodes: &[NodeProto]) -> Result<Vec<&NodeProto>> {
    let mut makers: HashMap<&str, usize> = HashMap::new();
    for (index, node) in nodes.iter().enumerate() {
        for name in node.output.iter().filter(|n| !n.is_empty()) {
            if let Some(first) = makers.insert(name, index).and_then(|i| nodes.get(i)) {
                return Err(Error::invalid_model(format!("value `{name}` is made twice, first by {}", path(first))).at(path(node)));
            }
        }
    }
    let mut waiting: Vec<Needs> = Vec::with_capacity(nodes.len());
    let mut users: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    for (index, node) in nodes.iter().enumerate() {
        let mut names: Vec<&str> = node.input.iter().map(String::as_str).collect();
        captured(&node.attribute, &mut names);
        let mut makers: Vec<usize> = names.into_iter().filter_map(|name| makers.get(name).copied()).collect();
        makers.sort_unstable();
        makers.dedup();
        for maker in &makers {
            if let Some(list) = users.get_mut(*maker) {
                list.push(index);
            }
        }
        waiting.push(Needs { open: makers.len(), makers });
    }
    let mut ready: BinaryHeap<Reverse<usize>> =
        waiting.iter().enumerate().filter(|(_, n)| n.open == 0).map(|(i, _)| Reverse(i)).collect();
    let mut sorted = Vec::with_capacity(nodes.len());
    while let Some(Reverse(index)) = ready.pop() {
        sorted.extend(nodes.get(index));
        for user in users.get(index).into_iter().flatten() {
            if let Some(needs) = waiting.get_mut(*user) {
                needs.open = needs.open.saturating_sub(1);
                if needs.open == 0 {
                    ready.push(Reverse(*user));
                }
            }
        }
    }
    if sorted.len() == nodes.len() { Ok(sorted) } else { Err(cycle(nodes, &waiting)) }
}

/// The nodes whose outputs a node needs, and how many of them are not imported yet.
struct Needs {
    open: usize,
    makers: Vec<usize>,
}

/// Names that nested graphs take from the graph around them: those that they do not give a meaning of their own.
fn captured<'m>(attributes: &'m [AttributeProto], names: &mut Vec<&'m str>) {
    for graph in attributes.iter().flat_map(|a| a.g.iter().chain(&a.graphs)) {
        let GraphProto { node, input, output, initializer, .. } = graph;
        let made = node.iter().flat_map(|node| &node.output).map(String::as_str);
        let given = input.iter().map(|i| i.name.as_str()).chain(initializer.iter().map(|i| i.name.as_str()));
        let own: HashSet<&str> = given.chain(made).collect();
        let mut read: Vec<&str> = output.iter().map(|o| o.name.as_str()).collect();
        for node in node {
            read.extend(node.input.iter().map(String::as_str));
            captured(&node.attribute, &mut read);
        }
        names.extend(read.into_iter().filter(|name| !own.contains(name)));
    }
}

/// Walks back from a node that never became ready until one comes up again: that one is part of a cycle.
fn cycle(nodes: &[NodeProto], waiting: &[Needs]) -> Error {
    let stuck = |index: &usize| waiting.get(*index).is_some_and(|n| n.open > 0);
    let mut seen = vec![false; nodes.len()];
    let mut here = (0..nodes.len()).find(|i| stuck(i)).unwrap_or(0);
    while let Some(flag) = seen.get_mut(here).filter(|flag| !**flag) {
        *flag = true;
        here = waiting.get(here).and_then(|n| n.makers.iter().copied().find(|m| stuck(m))).unwrap_or(here);
    }
    Error::invalid_model("the node is part of a cycle: its input depends on its own output")
        .at(nodes.get(here).map(path).unwrap_or_default())
}

/// Operator and name of a node, its first output where it has no name.
pub(super) fn path(node: &NodeProto) -> String {
    format!("{}:{}", node.op_type, name(node))
}

/// The name of a node, or of its first output.
pub(super) fn name(node: &NodeProto) -> &str {
    if node.name.is_empty() { node.output.iter().find(|o| !o.is_empty()).map_or("", String::as_str) } else { &node.name }
}
