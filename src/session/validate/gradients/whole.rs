//! A model with its weights as inputs, at the inputs of a run.

use super::question::with_gradients;
use crate::error::{Error, Result};
use crate::graph::{Dim, Fact, Graph, Structure, ValueId, Writer};
use crate::passes::{Specialized, specialize_structures};
use crate::tensor::{Tensor, TensorType};

/// A model whose constants of several floats are inputs, and the graph that it is for the inputs of a run.
#[derive(Clone, Debug)]
pub struct Whole {
    /// The model.
    pub model: Graph,
    /// What its inputs are, by name.
    pub given: Vec<(String, Tensor)>,
    /// The specialised graph. Integers, and floats that shapes depend on, are constants of it.
    pub graph: Graph,
    /// What its inputs are, by name: some of those of the model.
    pub inputs: Vec<(String, Tensor)>,
}

impl Whole {
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) when the model does not become one graph of tensors.
    pub fn new(graph: &Graph, given: &[Structure<Tensor>]) -> Result<Self> {
        let (model, given) = opened(graph, given)?;
        let integers = |(_, tensor): &(String, Tensor)| !tensor.dtype().is_float();
        let mut known: Vec<bool> = given.iter().map(integers).collect();
        let graph = loop {
            let fact = |((_, tensor), known): (&(String, Tensor), &bool)| {
                Structure::Tensor(match known {
                    true => Fact::of(tensor.clone()),
                    false => Fact::new(tensor.dtype(), tensor.shape().clone()),
                })
            };
            let facts: Vec<Structure<Fact>> = given.iter().zip(&known).map(fact).collect();
            let (specialized, ends) = specialize_structures(&model, &facts)?;
            let asked = match specialized {
                Specialized::Graph(graph) if ends.are_tensors() => break graph,
                Specialized::Graph(_) => return Err(Error::unsupported("an output that is no tensor")),
                Specialized::Stage { .. } => return Err(Error::unsupported("what is computed depends on the run: it has stages")),
                Specialized::Blocked { value, .. } => model.inputs().iter().position(|input| input.value == value),
            };
            match asked.and_then(|index| known.get_mut(index)).filter(|known| !**known) {
                Some(known) => *known = true,
                None => return Err(Error::unsupported("its shapes depend on what is computed")),
            }
        };
        let inputs = given.iter().zip(&known).filter(|(_, known)| !**known).map(|(input, _)| input.clone()).collect();
        Ok(Whole { model, given, graph, inputs })
    }

    /// The inputs of the specialised graph, by which it can be differentiated.
    pub fn tensors(&self) -> Vec<Tensor> {
        self.inputs.iter().map(|(_, tensor)| tensor.clone()).collect()
    }

    /// The outputs of the model whose changes are worth something, with their types.
    pub(super) fn worthy(&self, worth: &[Option<Tensor>]) -> Result<Vec<(ValueId, TensorType)>> {
        let outputs = self.model.outputs().iter().zip(self.graph.outputs()).zip(worth);
        let worthy = outputs.filter(|(_, worth)| worth.is_some());
        worthy.map(|((value, specialized), _)| Ok((*value, self.graph.fact(*specialized)?.ty.clone()))).collect()
    }

    /// The model with the gradients of those outputs whose changes are worth something as outputs `gradient.K`, with respect to the inputs of
    /// the specialised graph; what changes are worth is given as `worth.K`.
    ///
    /// # Errors
    /// [`Internal`](crate::ErrorKind::Internal) when the graphs do not fit each other.
    pub fn differentiated(&self, worth: &[Option<Tensor>]) -> Result<Graph> {
        let found = self.inputs.iter().map(|(name, _)| self.model.find(name)).collect::<Option<Vec<_>>>();
        let subjects = found.ok_or_else(|| Error::internal("an input that the model does not have"))?;
        with_gradients(&self.model, &self.worthy(worth)?, &subjects)
    }
}

/// A copy of a graph without states, whose extents are known, and whose constants of several floats are inputs.
fn opened(graph: &Graph, given: &[Structure<Tensor>]) -> Result<(Graph, Vec<(String, Tensor)>)> {
    let mut writer = Writer::new(graph.name());
    let mut ids: Vec<Option<ValueId>> = vec![None; graph.values().len()];
    let mut inputs = Vec::new();
    let mut declare = |writer: &mut Writer, name: &str, tensor: &Tensor| {
        inputs.push((name.to_string(), tensor.clone()));
        let dims = tensor.shape().iter().map(|extent| Dim::Known(*extent)).collect();
        writer.declare(name, tensor.dtype(), Some(dims))
    };
    for (input, structure) in graph.inputs().iter().zip(given) {
        let Structure::Tensor(tensor) = structure else { return Err(Error::unsupported("an input that is no tensor")) };
        ids[input.value.index()] = Some(declare(&mut writer, &graph.value(input.value).name, tensor));
    }
    for (index, value) in graph.values().iter().enumerate() {
        if ids[index].is_none() {
            ids[index] = Some(match &value.constant {
                Some(tensor) if tensor.dtype().is_float() && tensor.elements() > 1 => declare(&mut writer, &value.name, tensor),
                Some(tensor) => writer.constant(&value.name, tensor.clone()),
                None => writer.value(&value.name, None),
            });
        }
    }
    let id = |value: &Option<ValueId>| value.and_then(|value| ids.get(value.index()).copied().flatten());
    for node in graph.nodes() {
        let mut node = node.clone();
        node.inputs = node.inputs.iter().map(id).collect();
        node.outputs = node.outputs.iter().map(id).collect();
        writer.push(node);
    }
    for output in graph.outputs() {
        let value = id(&Some(*output)).ok_or_else(|| Error::internal("an output that is no value"))?;
        writer.output(&graph.value(*output).name, value)?;
    }
    Ok((writer.finish()?, inputs))
}
