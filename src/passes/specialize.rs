//! Fixing the shapes of a graph: its nodes written anew with facts for every value, constants folded, composed operators expanded.

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Fact, Graph, ValueId, Writer};

/// What became of a specialisation.
#[derive(Debug)]
pub enum Specialized {
    /// Every value has a fact. Inputs that were given by value are constants now and no inputs any more.
    Graph(Graph),
    /// A shape depends on a value that is not known.
    Blocked {
        /// The value that must be known first.
        value: ValueId,
        /// The node of the given graph whose outputs depend on it.
        node: usize,
    },
}

/// The graph for inputs of these facts, in the order of [`Graph::inputs`]. A fact with a value makes its input constant.
///
/// # Errors
/// What the operators' `infer`, `expand` and `reference` report, with the node's path;
/// [`Limit`](crate::ErrorKind::Limit) for values of too high a rank or too many elements.
pub fn specialize(graph: &Graph, inputs: &[Fact]) -> Result<Specialized> {
    if inputs.len() != graph.inputs().len() {
        return Err(Error::internal(format!("expected facts of {} inputs, found {}", graph.inputs().len(), inputs.len())));
    }
    let mut writer = Writer::specializing(graph);
    for (index, value) in graph.values().iter().enumerate() {
        if let Some(constant) = &value.constant {
            constant.ty().clone().checked().map_err(|e| e.at(&value.name))?;
            writer.set_fact(ValueId(index), Fact::of(constant.clone()));
        }
    }
    for (input, fact) in graph.inputs().iter().zip(inputs) {
        fact.ty.clone().checked().map_err(|e| e.at(&graph.value(input.value).name))?;
        match &fact.value {
            Some(value) => writer.fold_input(input.value, value.clone()),
            None => writer.set_fact(input.value, fact.clone()),
        }
    }
    for (index, node) in graph.nodes().iter().enumerate() {
        let error = match writer.write(node.clone()) {
            Ok(()) => continue,
            Err(error) => error,
        };
        let ErrorKind::NeedsValue(input) = error.kind() else { return Err(error.at(&node.path)) };
        let value = node.needed(input).map_err(|e| e.at(&node.path))?;
        return Ok(Specialized::Blocked { value, node: index });
    }
    writer.finish_needed().map(Specialized::Graph)
}
