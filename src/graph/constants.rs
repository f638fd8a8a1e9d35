//! What a graph's constants and states hold, by name: parameters that move from graph to graph.

use super::{Fact, Graph};
use crate::error::{Error, Result};
use crate::tensor::Tensor;
use std::collections::HashMap;

/// Where a tensor lies that a name stands for.
#[derive(Clone, Copy)]
enum Place {
    Value(usize),
    State(usize),
}

impl Graph {
    /// Constants by their names, and what states hold before the first run.
    pub fn constants(&self) -> Vec<(&str, &Tensor)> {
        let values = self.values.iter().filter_map(|value| Some((value.name.as_str(), value.constant.as_ref()?)));
        let states = self.states.iter().filter_map(|state| Some((state.name.as_str(), state.initial.as_ref()?)));
        values.chain(states).collect()
    }

    /// The graph with these contents of constants, and of states before the first run: parameters of another graph, or of a file.
    ///
    /// ```
    /// use gristmill::graph::Builder;
    /// use gristmill::{DType, Tensor, operators};
    ///
    /// let mut b = Builder::new("scaled");
    /// let x = b.input("x", DType::F32, &[]);
    /// let scale = b.constant("scale", Tensor::scalar(1.0f32));
    /// let y = b.node("y", operators::binary("Mul")?, &[Some(x), Some(scale)]);
    /// b.output("y", y)?;
    /// let graph = b.finish()?.with_constants(&[("scale".into(), Tensor::scalar(3.0f32))])?;
    /// assert_eq!(graph.constants(), [("scale", &Tensor::scalar(3.0f32))]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) naming a tensor that is no constant of the graph, is given twice, or is of another
    /// type than the constant. [`with_constants_among`](Graph::with_constants_among) leaves out the first.
    pub fn with_constants(&self, tensors: &[(String, Tensor)]) -> Result<Graph> {
        let places = self.places();
        match tensors.iter().find(|(name, _)| !places.contains_key(name.as_str())) {
            Some((name, _)) => Err(Error::invalid_argument(format!("the graph has no constant `{name}`"))),
            None => self.with_those(tensors.iter(), &places),
        }
    }

    /// The same with those of the tensors whose names are constants of the graph, and their number: others may belong to an optimizer, or to
    /// parts of a network that this one has not.
    ///
    /// # Errors
    /// As [`with_constants`](Graph::with_constants).
    pub fn with_constants_among(&self, tensors: &[(String, Tensor)]) -> Result<(Graph, usize)> {
        let places = self.places();
        let known = tensors.iter().filter(|(name, _)| places.contains_key(name.as_str()));
        Ok((self.with_those(known.clone(), &places)?, known.count()))
    }

    fn places(&self) -> HashMap<&str, Place> {
        let values = self.values.iter().enumerate().filter(|(_, value)| value.constant.is_some());
        let values = values.map(|(index, value)| (value.name.as_str(), Place::Value(index)));
        let states = self.states.iter().enumerate().filter(|(_, state)| state.initial.is_some());
        values.chain(states.map(|(index, state)| (state.name.as_str(), Place::State(index)))).collect()
    }

    fn with_those<'a>(&self, tensors: impl Iterator<Item = &'a (String, Tensor)>, places: &HashMap<&str, Place>) -> Result<Graph> {
        let (mut graph, mut places) = (self.clone(), places.clone());
        for (name, tensor) in tensors {
            let place = places.remove(name.as_str());
            let place = place.ok_or_else(|| Error::invalid_argument(format!("constant `{name}` is given twice")))?;
            let held = match place {
                Place::Value(index) => &mut graph.values[index].constant,
                Place::State(index) => &mut graph.states[index].initial,
            };
            if let Some(old) = held.as_ref().filter(|old| old.ty() != tensor.ty()) {
                let message = format!("constant `{name}` of the graph is {}, what it is given {}", old.ty(), tensor.ty());
                return Err(Error::invalid_argument(message));
            }
            *held = Some(tensor.clone());
            if let Place::Value(index) = place
                && let Some(fact) = &mut graph.values[index].fact
            {
                *fact = Fact::of(tensor.clone());
            }
        }
        Ok(graph)
    }
}
