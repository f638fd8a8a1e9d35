//! Where a batch goes wrong: its forward and backward pass again, with every value kept.

use super::evaluation::needed;
use super::front::{Step, with_own};
use super::non_finite::{NonFinite, Pass, ValueRange};
use super::options::computed_from;
use crate::error::{Error, Result};
use crate::graph::{Fact, Graph, Model, OpExt, ValueId};
use crate::ops::arena::Part;
use crate::ops::gradient::Gradient;
use crate::ops::optimizer::is_sound;
use crate::passes::{self, Specialized};
use crate::session::{Options, Session};
use crate::tensor::{Tensor, TensorView};
use std::collections::HashMap;

impl Step {
    /// The first value of a batch that is not finite, in the order in which a step computes them, of those that make its loss or its gradients so: found by
    /// a run of the forward and the backward pass with what the step holds now, which fuses nothing, keeps every value and changes nothing. `None` where that
    /// run finds all of them finite.
    ///
    /// What is given and holds something that is no number comes first; then the first node whose result is not finite though all that it reads is.
    ///
    /// # Errors
    /// As [`step`](Step::step); [`Unsupported`](crate::ErrorKind::Unsupported) where shapes depend on data.
    pub async fn find_non_finite(&self, inputs: &[(&str, TensorView<'_>)]) -> Result<Option<NonFinite>> {
        let own = self.own_inputs()?;
        let given = with_own(inputs, &own)?.into_iter().map(|(name, view)| (name.to_string(), view.to_tensor()));
        let mut given: HashMap<String, Tensor> = given.collect();
        let (graph, ends) = self.passes()?;
        for state in self.graph.states() {
            given.insert(self.graph.value(state.input).name.clone(), self.state.get(&state.name).await?);
        }
        let graph = written(&graph, &given)?;
        let options = Options { keep_all: true, taps: vec![], ..self.options.session.clone() };
        let session = Session::on(self.training.plain().gpu().as_ref(), &Model::from_graph(graph.clone()), options)?;
        let named: Vec<_> = session.inputs().iter().filter_map(|input| given.get_key_value(&input.name)).collect();
        let named: Vec<(&str, TensorView<'_>)> = named.into_iter().map(|(name, tensor)| (name.as_str(), tensor.view())).collect();
        let outputs = session.run(&named).await?;
        let made: HashMap<&str, &Tensor> = outputs.iter().collect();
        let find = |name: &str| made.get(name).copied().or_else(|| given.get(name));
        let tensors = graph.values().iter().map(|value| value.constant.as_ref().or_else(|| find(&value.name))).collect();
        Ok(Trail::new(&graph, tensors).found(&ends))
    }

    /// [`find_non_finite`](Step::find_non_finite), blocking.
    ///
    /// # Errors
    /// As `find_non_finite`.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn find_non_finite_blocking(&self, inputs: &[(&str, TensorView<'_>)]) -> Result<Option<NonFinite>> {
        crate::gpu::block_on(self.find_non_finite(inputs))
    }

    /// The graph of the step without its updates, whose states are inputs. Its outputs, the loss and then the gradients, by their names.
    fn passes(&self) -> Result<(Graph, Vec<String>)> {
        let mut graph = self.graph.clone();
        let loss = graph.find(&self.options.loss).ok_or_else(|| Error::internal("a step without a loss"))?;
        let gradient = graph.nodes().iter().rev().find(|node| node.op.downcast::<Gradient>().is_some());
        let gradients: Vec<ValueId> = gradient.iter().flat_map(|node| node.outputs.iter().flatten().copied()).collect();
        graph.states.clear();
        graph.outputs = std::iter::once(loss).chain(gradients).collect();
        let names = graph.outputs.iter().map(|id| graph.value(*id).name.clone()).collect();
        Ok((needed(graph)?, names))
    }
}

/// A graph with its gradients written, for inputs like these. Those that shapes depend on are constants of it.
fn written(graph: &Graph, given: &HashMap<String, Tensor>) -> Result<Graph> {
    let inputs: Vec<&Tensor> = graph
        .inputs()
        .iter()
        .map(|input| {
            let name = &graph.value(input.value).name;
            given.get(name).ok_or_else(|| Error::invalid_input(format!("input `{name}` is missing")))
        })
        .collect::<Result<_>>()?;
    let mut known = vec![false; inputs.len()];
    loop {
        let fact = |(tensor, known): (&&Tensor, &bool)| match known {
            true => Fact::of((*tensor).clone()),
            false => Fact::new(tensor.dtype(), tensor.shape().clone()),
        };
        let facts: Vec<Fact> = inputs.iter().zip(&known).map(fact).collect();
        let blocking = match passes::specialize(graph, &facts)? {
            Specialized::Graph(graph) => {
                return passes::optimize(&graph, &passes::Options { fuse: false, ..passes::Options::default() });
            }
            Specialized::Blocked { value, .. } => graph.inputs().iter().position(|input| input.value == value),
            Specialized::Stage { .. } => None,
        };
        let before = known.clone();
        match blocking {
            Some(index) => known[index] = true,
            None => known.iter_mut().zip(&inputs).for_each(|(known, tensor)| *known |= !tensor.dtype().is_float()),
        }
        if known == before {
            return Err(Error::unsupported("its shapes depend on data"));
        }
    }
}

/// The values of a run, looked through from its ends to where it went wrong.
struct Trail<'a> {
    graph: &'a Graph,
    /// By value.
    tensors: Vec<Option<&'a Tensor>>,
    ranges: Vec<Option<ValueRange>>,
    producers: Vec<Option<usize>>,
}

/// What lies at the beginnings of a trail.
#[derive(Default)]
struct Beginnings {
    /// Values that are given.
    given: Vec<ValueId>,
    /// Nodes whose results are not finite though all that they read is.
    first: Vec<usize>,
    /// Nodes that make what is no number of infinite numbers.
    undefined: Vec<usize>,
}

impl<'a> Trail<'a> {
    fn new(graph: &'a Graph, tensors: Vec<Option<&'a Tensor>>) -> Self {
        let ranges = tensors.iter().map(|tensor| tensor.map(ValueRange::of)).collect();
        Trail { graph, tensors, ranges, producers: graph.producers() }
    }

    fn range(&self, id: ValueId) -> Option<&ValueRange> {
        self.ranges.get(id.index())?.as_ref()
    }

    fn is_finite(&self, id: ValueId) -> bool {
        self.range(id).is_none_or(ValueRange::is_finite)
    }

    fn is_defined(&self, id: ValueId) -> bool {
        self.range(id).is_none_or(|range| range.undefined == 0)
    }

    /// What went wrong with the loss, the first of these ends, or else with the gradients, which are the others.
    fn found(&self, ends: &[String]) -> Option<NonFinite> {
        let ends: Vec<ValueId> = ends.iter().filter_map(|name| self.graph.find(name)).collect();
        let (loss, gradients) = ends.split_first()?;
        let wrong = |id: &&ValueId| !self.is_finite(**id);
        let roots: Vec<ValueId> = match self.is_finite(*loss) {
            false => vec![*loss],
            true => gradients.iter().filter(wrong).copied().collect(),
        };
        let forward = computed_from(self.graph, *loss);
        if roots.is_empty() {
            let is_great = |id: &&ValueId| self.range(**id).is_some_and(|r| !(is_sound(r.least) && is_sound(r.greatest)));
            let great = gradients.iter().filter(|id| self.range(**id).is_some_and(|range| range.elements > 0)).find(is_great)?;
            return self.told(*great, self.producers[great.index()], &forward);
        }
        let Beginnings { given, first, undefined } = self.beginnings(&roots);
        if let Some(id) = given.iter().find(|id| !self.is_defined(**id)) {
            return self.told(*id, None, &forward);
        }
        if let Some(node) = first.iter().min().or(undefined.iter().min()) {
            let outputs = self.graph.nodes()[*node].outputs.iter().flatten();
            let wrong = outputs.copied().find(|id| !self.is_finite(*id))?;
            return self.told(wrong, Some(*node), &forward);
        }
        given.first().and_then(|id| self.told(*id, None, &forward))
    }

    /// Whether a value is a parameter, which stands in an arena.
    fn is_parameter(&self, node: usize) -> bool {
        let node = &self.graph.nodes()[node];
        let held = node.input(0).is_some_and(|input| self.producers[input.index()].is_none());
        held && node.op.downcast::<Part>().is_some()
    }

    fn beginnings(&self, roots: &[ValueId]) -> Beginnings {
        let mut found = Beginnings::default();
        let mut seen = vec![false; self.ranges.len()];
        let mut open = roots.to_vec();
        while let Some(id) = open.pop() {
            if std::mem::replace(&mut seen[id.index()], true) {
                continue;
            }
            let Some(node) = self.producers[id.index()].filter(|node| !self.is_parameter(*node)) else {
                found.given.push(id);
                continue;
            };
            let inputs = self.graph.nodes()[node].inputs.iter().flatten();
            let wrong: Vec<ValueId> = inputs.copied().filter(|input| !self.is_finite(*input)).collect();
            if wrong.is_empty() {
                found.first.push(node);
            } else if !self.is_defined(id) && wrong.iter().all(|input| self.is_defined(*input)) {
                found.undefined.push(node);
            }
            open.extend(wrong);
        }
        found.given.sort_unstable();
        found
    }

    fn told(&self, id: ValueId, node: Option<usize>, forward: &[bool]) -> Option<NonFinite> {
        let (tensor, range) = (self.tensors.get(id.index()).copied().flatten()?, *self.range(id)?);
        let node = node.map(|node| &self.graph.nodes()[node]);
        let reads = node.iter().flat_map(|node| node.inputs.iter().flatten());
        let named = |input: &ValueId| {
            let is_float = self.tensors.get(input.index()).copied().flatten().is_some_and(|tensor| tensor.dtype().is_float());
            let name = self.graph.value(*input).name.clone();
            self.range(*input).filter(|_| is_float).map(|range| (name, *range))
        };
        Some(NonFinite {
            value: self.graph.value(id).name.clone(),
            ty: tensor.ty().clone(),
            node: node.map(|node| node.path.clone()),
            pass: match node {
                None => Pass::Given,
                Some(_) if forward.get(id.index()).copied().unwrap_or(false) => Pass::Forward,
                Some(_) => Pass::Backward,
            },
            range,
            rows: rows(tensor),
            inputs: reads.filter_map(named).collect(),
        })
    }
}

/// The places along the first axis where something is not finite.
fn rows(tensor: &Tensor) -> Vec<usize> {
    let count = tensor.shape().first().copied().unwrap_or(0);
    if count == 0 || tensor.elements() == 0 {
        return Vec::new();
    }
    let numbers = tensor.to_f64();
    let rows = numbers.chunks(numbers.len() / count).enumerate();
    rows.filter(|(_, row)| row.iter().any(|number| !number.is_finite())).map(|(place, _)| place).collect()
}
