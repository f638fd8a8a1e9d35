//! What a run yields.

use crate::graph::Structure;
use crate::tensor::Tensor;
use std::ops::Index;

/// The outputs of a run by name, in the model's order, then the taps.
#[derive(Clone, Debug, Default)]
pub struct Outputs {
    pub(crate) entries: Vec<(String, Structure<Tensor>)>,
}

impl Outputs {
    /// The output of a name, where it is a tensor.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.structure(name)?.tensor().ok()
    }

    /// The output of a name, be it a tensor, a sequence of tensors, or nothing.
    pub fn structure(&self, name: &str) -> Option<&Structure<Tensor>> {
        self.entries.iter().find(|(n, _)| n == name).map(|(_, structure)| structure)
    }

    /// Names and tensors, in order, without the outputs that are no tensors.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.structures().filter_map(|(name, structure)| Some((name, structure.tensor().ok()?)))
    }

    /// Names and values of all outputs, in order.
    pub fn structures(&self) -> impl Iterator<Item = (&str, &Structure<Tensor>)> {
        self.entries.iter().map(|(name, structure)| (name.as_str(), structure))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when the model has no output.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl Index<&str> for Outputs {
    type Output = Tensor;

    /// The output of a name.
    ///
    /// # Panics
    /// When there is none, or it is no tensor; [`get`](Outputs::get) does not panic.
    fn index(&self, name: &str) -> &Tensor {
        match self.get(name) {
            Some(tensor) => tensor,
            None => {
                let names: Vec<&str> = self.iter().map(|(n, _)| n).collect();
                panic!("no output is a tensor named `{name}`; there are {names:?}")
            }
        }
    }
}
