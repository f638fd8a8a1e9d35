//! What steps read that no run changes: constants of the graph, and tables of the kernels.

use super::tensors::Tensors;
use super::types::{Place, Weight};
use crate::error::{Error, Result};
use crate::graph::{Graph, ValueId};
use crate::kernel::{Packing, Table};
use crate::tensor::{Scalar, Tensor};
use std::collections::HashMap;

/// Name and arguments of a [`Packing`], if any, and whether it is a texture.
type Layout = (Option<(&'static str, Vec<u32>)>, bool);

/// Each constant once in each layout.
pub(super) struct Constants<'a> {
    graph: &'a Graph,
    pub weights: Vec<Weight>,
    /// The tensors of values.
    values: HashMap<(ValueId, Layout), usize>,
    /// Tables, whether each is a texture, and its tensor.
    tables: Vec<(Table, bool, usize)>,
}

impl<'a> Constants<'a> {
    pub(super) fn new(graph: &'a Graph) -> Self {
        Constants { graph, weights: Vec::new(), values: HashMap::new(), tables: Vec::new() }
    }

    /// The tensor of a constant value.
    pub(super) fn value(
        &mut self,
        value: ValueId,
        packing: Option<&Packing>,
        texture: bool,
        tensors: &mut Tensors,
    ) -> Result<usize> {
        let key = (value, (packing.map(|p| (p.layout, p.arguments.clone())), texture));
        if let Some(tensor) = self.values.get(&key) {
            return Ok(*tensor);
        }
        let fact = self.graph.fact(value)?;
        let name = self.graph.value(value).name.clone();
        let (Some(scalar), Some(contents)) = (fact.scalar(), self.graph.constant(value)) else {
            return Err(Error::internal(format!("`{name}` is no constant with a GPU form")));
        };
        let weight = Weight { name, tensor: contents.clone(), scalar, packing: packing.cloned(), texture };
        let tensor = self.add(weight, fact.gpu_bytes(), tensors)?;
        self.values.insert(key, tensor);
        Ok(tensor)
    }

    /// The tensor of numbers of a kernel's own; equal tables are one.
    pub(super) fn table(&mut self, table: &Table, texture: bool, tensors: &mut Tensors) -> Result<usize> {
        if let Some((.., tensor)) = self.tables.iter().find(|(known, in_texture, _)| known == table && *in_texture == texture) {
            return Ok(*tensor);
        }
        let contents = Tensor::new([table.numbers.len()], &table.numbers)?;
        let bytes = 4 * table.numbers.len() as u64;
        let weight = Weight { name: table.name.into(), tensor: contents, scalar: Scalar::U32, packing: None, texture };
        let tensor = self.add(weight, bytes, tensors)?;
        self.tables.push((table.clone(), texture, tensor));
        Ok(tensor)
    }

    fn add(&mut self, weight: Weight, bytes: u64, tensors: &mut Tensors) -> Result<usize> {
        let tensor = tensors.add(weight.name.clone(), bytes, Place::Weight(self.weights.len()))?;
        self.weights.push(weight);
        Ok(tensor)
    }
}
