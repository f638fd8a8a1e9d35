//! Fixing the shapes of a graph: facts for every value, constants folded, composed operators expanded.

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Edit, Fact, Graph, Node, ValueId};
use crate::tensor::Tensor;

/// The most elements of a value that is folded; larger ones are cheaper to make on the GPU than to upload.
const MAX_FOLDED_ELEMENTS: usize = 1 << 24;

/// How deep operators may expand into operators that expand; branches nest as deep as an importer lets them.
const MAX_EXPANSION: usize = 72;

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

/// What one step of the specialisation came to.
enum Step {
    Done,
    Blocked(ValueId),
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
    let mut edit = Edit::without_nodes(graph);
    for (index, value) in graph.values().iter().enumerate() {
        if let Some(constant) = &value.constant {
            constant.ty().clone().checked().map_err(|e| e.at(&value.name))?;
            edit.set_fact(ValueId(index), Fact::of(constant.clone()));
        }
    }
    for (input, fact) in graph.inputs().iter().zip(inputs) {
        fact.ty.clone().checked().map_err(|e| e.at(&graph.value(input.value).name))?;
        match &fact.value {
            Some(value) => edit.fold_input(input.value, value.clone()),
            None => edit.set_fact(input.value, fact.clone()),
        }
    }
    for (index, node) in graph.nodes().iter().enumerate() {
        match place(&mut edit, node, 0).map_err(|e| e.at(&node.path))? {
            Step::Done => {}
            Step::Blocked(value) if value.index() < graph.values().len() => return Ok(Specialized::Blocked { value, node: index }),
            Step::Blocked(_) => return Err(Error::unsupported("a data-dependent shape inside a composed operator").at(&node.path)),
        }
    }
    edit.finish().map(Specialized::Graph)
}

/// Infers one node and folds, expands or keeps it.
fn place(edit: &mut Edit, node: &Node, depth: usize) -> Result<Step> {
    let known: Vec<Option<Fact>> = node.inputs.iter().map(|i| i.and_then(|id| edit.get(id).fact.clone())).collect();
    if let Some(id) = node.inputs.iter().zip(&known).find_map(|(id, fact)| id.filter(|_| fact.is_none())) {
        return Err(Error::internal(format!("input `{}` has no type yet", edit.get(id).name)));
    }
    let facts: Vec<Option<&Fact>> = known.iter().map(Option::as_ref).collect();
    let mut outputs = match node.op.infer(&facts) {
        Ok(outputs) => outputs,
        Err(error) => {
            let ErrorKind::NeedsValue(index) = error.kind() else { return Err(error) };
            let value = node.inputs.get(index).copied().flatten();
            return value.map(Step::Blocked).ok_or_else(|| Error::internal("the value that a shape depends on is no input"));
        }
    };
    for fact in &mut outputs {
        fact.ty = fact.ty.clone().checked()?;
    }
    if outputs.len() < node.outputs.iter().rposition(Option::is_some).map_or(0, |last| last + 1) {
        return Err(Error::invalid_model(format!("expected at most {} outputs, found {}", outputs.len(), node.outputs.len())));
    }
    if let Some(values) = fold(node, &facts, &outputs)? {
        for (id, value) in node.outputs.iter().zip(values) {
            if let Some(id) = id {
                edit.fold(*id, value);
            }
        }
        return Ok(Step::Done);
    }
    if let Some(nodes) = node.op.expand(node, &facts, edit)? {
        if depth >= MAX_EXPANSION {
            return Err(Error::internal("operators expand into each other without end"));
        }
        for inner in &nodes {
            if let Step::Blocked(value) = place(edit, inner, depth + 1)? {
                return Ok(Step::Blocked(value));
            }
        }
        return match node.outputs.iter().flatten().find(|id| edit.get(**id).fact.is_none()) {
            Some(id) => Err(Error::internal(format!("the expansion does not make output `{}`", edit.get(*id).name))),
            None => Ok(Step::Done),
        };
    }
    for (id, fact) in node.outputs.iter().zip(outputs) {
        if let Some(id) = id {
            edit.set_fact(*id, fact);
        }
    }
    edit.push(node.clone());
    Ok(Step::Done)
}

/// The outputs of a node that does not depend on the run, or `None`.
fn fold(node: &Node, inputs: &[Option<&Fact>], outputs: &[Fact]) -> Result<Option<Vec<Tensor>>> {
    if let Some(values) = outputs.iter().map(|f| f.value.clone()).collect::<Option<Vec<_>>>() {
        return Ok(Some(values));
    }
    if node.op.stays_constant() {
        return Ok(None);
    }
    let small = outputs.iter().all(|f| f.ty.elements() <= MAX_FOLDED_ELEMENTS);
    if !small || inputs.iter().flatten().any(|f| f.value.is_none()) {
        return Ok(None);
    }
    let tensors: Vec<Option<&Tensor>> = inputs.iter().map(|f| f.and_then(|f| f.value.as_ref())).collect();
    node.op.reference(&tensors).map(Some)
}
