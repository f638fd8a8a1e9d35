//! What a step has learned, as a network that is used.

use super::contents::row;
use super::evaluation::{evaluation_graph, needed};
use super::front::Step;
use crate::error::{Error, Result};
use crate::graph::{Graph, OpExt};
use crate::ops::arena::Part;
use crate::tensor::Tensor;
use std::collections::HashMap;

impl Step {
    /// The network as [`evaluate`](Step::evaluate) runs it for these outputs: parameters, under their names, and states of the network are
    /// constants, which hold what they hold now. It has the inputs that the outputs are computed from.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for a name that the network has not; as [`SessionState::get`](crate::SessionState::get).
    pub async fn to_graph(&self, outputs: &[&str]) -> Result<Graph> {
        let mut graph = evaluation_graph(&self.graph, outputs)?;
        graph.outputs.truncate(outputs.len());
        let mut arenas: HashMap<usize, (usize, Tensor)> = HashMap::new();
        for state in std::mem::take(&mut graph.states) {
            graph.inputs.retain(|input| input.value != state.input);
            match self.arenas.iter().position(|arena| arena.state == state.name) {
                Some(arena) => {
                    arenas.insert(state.input.index(), (arena, self.state.get(&state.name).await?));
                }
                // Losses and norms are no part of the network.
                None if state.name.starts_with("train.") => {}
                None => graph.values[state.input.index()].constant = Some(self.state.get(&state.name).await?),
            }
        }
        self.settle(&mut graph, &arenas)?;
        needed(graph)
    }

    /// The network of [`to_graph`](Step::to_graph) as an ONNX file, see [`Graph::to_onnx`].
    ///
    /// # Errors
    /// As `to_graph` and `Graph::to_onnx`.
    pub async fn to_onnx(&self, outputs: &[&str]) -> Result<Vec<u8>> {
        self.to_graph(outputs).await?.to_onnx()
    }

    /// Makes constants of the parts of arenas, whose contents are given by the values that they are.
    fn settle(&self, graph: &mut Graph, arenas: &HashMap<usize, (usize, Tensor)>) -> Result<()> {
        let nodes = std::mem::take(&mut graph.nodes);
        for node in nodes {
            let held = node.input(0).and_then(|input| arenas.get(&input.index()));
            let (Some(part), Some((arena, held)), Some(seen)) = (node.op.downcast::<Part>(), held, node.only_output()) else {
                graph.nodes.push(node);
                continue;
            };
            let arena = &self.arenas[*arena];
            let parameter = arena.parameters.iter().find(|parameter| parameter.first == part.first);
            let parameter = parameter.ok_or_else(|| Error::internal("a part of an arena that is no parameter"))?;
            graph.values[seen.index()].constant = Some(row(held, arena, parameter, 0)?);
        }
        Ok(())
    }
}
