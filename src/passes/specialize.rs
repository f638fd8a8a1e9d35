//! Fixing the shapes of a graph: its nodes written anew with facts for every value, constants folded, composed operators expanded.

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Fact, Graph, Input, Structure, ValueId, Writer};
use crate::ops::reshape::identity;

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
    /// A node is a stage of the run: it says then how often a graph within it is computed, or which.
    Stage {
        /// The node of the given graph.
        node: usize,
    },
}

/// What the inputs and outputs of a graph are in the specialised one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// For each input, the values that stand for it.
    pub inputs: Vec<Structure<ValueId>>,
    /// For each output, the outputs that it is.
    pub outputs: Vec<Structure<ValueId>>,
}

impl Ends {
    /// Whether every output is a tensor.
    pub fn are_tensors(&self) -> bool {
        self.outputs.iter().all(|output| matches!(output, Structure::Tensor(_)))
    }
}

/// The graph for inputs of these facts, in the order of [`Graph::inputs`]. A fact with a value makes its input constant.
///
/// # Errors
/// What the operators' `infer`, `expand` and `reference` report, with the node's path;
/// [`Limit`](crate::ErrorKind::Limit) for values of too high a rank or too many elements.
pub fn specialize(graph: &Graph, inputs: &[Fact]) -> Result<Specialized> {
    let inputs: Vec<Structure<Fact>> = inputs.iter().cloned().map(Structure::Tensor).collect();
    Ok(specialize_structures(graph, &inputs)?.0)
}

/// The graph for inputs of these facts, among them sequences and what is left out: an input that is a sequence becomes an input for each of
/// its tensors, an output an output for each.
///
/// # Errors
/// As [`specialize`].
pub fn specialize_structures(graph: &Graph, inputs: &[Structure<Fact>]) -> Result<(Specialized, Ends)> {
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
    for (input, structure) in graph.inputs().iter().zip(inputs) {
        let name = &graph.value(input.value).name;
        give(&mut writer, input, name, structure).map_err(|e| e.at(name))?;
    }
    for (index, node) in graph.nodes().iter().enumerate() {
        let error = match writer.write(node.clone()) {
            Ok(()) => continue,
            Err(error) => error,
        };
        let blocked = match error.kind() {
            ErrorKind::NeedsValue(input) => {
                Specialized::Blocked { value: node.needed(input).map_err(|e| e.at(&node.path))?, node: index }
            }
            ErrorKind::NeedsStage => Specialized::Stage { node: index },
            _ => return Err(error.at(&node.path)),
        };
        return Ok((blocked, Ends::default()));
    }
    let inputs = graph.inputs().iter().map(|input| writer.structure(input.value)).collect();
    let outputs = writer.return_tensors(identity)?;
    Ok((Specialized::Graph(writer.finish_needed()?), Ends { inputs, outputs }))
}

/// Says what an input is.
fn give(writer: &mut Writer, input: &Input, name: &str, structure: &Structure<Fact>) -> Result<()> {
    structure.tensors().iter().try_for_each(|fact| fact.ty.clone().checked().map(|_| ()))?;
    let is = |writer: &mut Writer, id: ValueId, fact: &Fact| match &fact.value {
        Some(value) => writer.fold_input(id, value.clone()),
        None => writer.set_fact(id, fact.clone()),
    };
    match structure {
        Structure::Tensor(fact) => is(writer, input.value, fact),
        Structure::Sequence(facts) => {
            let names = (0..facts.len()).map(|k| format!("{name}[{k}]"));
            let tensors = writer.split_input(input.value, names);
            tensors.iter().zip(facts).for_each(|(id, fact)| is(writer, *id, fact));
        }
        Structure::Absent => writer.leave_out_input(input.value),
    }
    Ok(())
}
