//! What a run yields.

use crate::tensor::Tensor;
use std::ops::Index;

/// The outputs of a run by name, in the model's order, then the taps.
#[derive(Clone, Debug, Default)]
pub struct Outputs {
    pub(crate) entries: Vec<(String, Tensor)>,
}

impl Outputs {
    /// The output of a name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.entries.iter().find(|(n, _)| n == name).map(|(_, tensor)| tensor)
    }

    /// Names and tensors, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.entries.iter().map(|(name, tensor)| (name.as_str(), tensor))
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
    /// When there is none; [`get`](Outputs::get) does not panic.
    fn index(&self, name: &str) -> &Tensor {
        match self.get(name) {
            Some(tensor) => tensor,
            None => {
                let names: Vec<&str> = self.iter().map(|(n, _)| n).collect();
                panic!("no output is named `{name}`; there are {names:?}")
            }
        }
    }
}
