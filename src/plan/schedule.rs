//! The order of nodes: runs of GPU nodes with the host's nodes between them.

use super::placement::Placement;
use crate::graph::Graph;

/// Nodes between two points at which the host waits for the GPU: those of the GPU first, then those of the host.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    pub gpu: Vec<usize>,
    pub host: Vec<usize>,
}

/// As few groups as dependences allow: a GPU node that reads a result of the host belongs to a later group.
pub(super) fn groups(graph: &Graph, placements: &[Placement]) -> Vec<Group> {
    let producers = graph.producers();
    let mut level = vec![0; placements.len()];
    let mut groups: Vec<Group> = vec![Group::default()];
    for (index, node) in graph.nodes().iter().enumerate() {
        let on_host = |n: usize| matches!(placements[n], Placement::Host(_));
        let before = node.inputs.iter().flatten().filter_map(|id| producers[id.index()]);
        level[index] = before.map(|p| level[p] + usize::from(on_host(p) && !on_host(index))).max().unwrap_or(0);
        if groups.len() <= level[index] {
            groups.push(Group::default());
        }
        let group = &mut groups[level[index]];
        if on_host(index) { &mut group.host } else { &mut group.gpu }.push(index);
    }
    groups
}
