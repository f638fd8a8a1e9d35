//! Examples whose inputs are called otherwise.

use gristmill::train::{Dataset, Shuffle};
use gristmill::{Result, Tensor};

/// A dataset whose inputs have other names.
pub(crate) struct Renamed<D> {
    pub(crate) data: D,
    /// Names as they are there, and as they are to be.
    pub(crate) names: Vec<(String, String)>,
}

impl<D: Dataset> Dataset for Renamed<D> {
    fn count(&self) -> usize {
        self.data.count()
    }

    fn example(&self, number: usize) -> Result<Vec<(String, Tensor)>> {
        let mut inputs = self.data.example(number)?;
        for (name, _) in &mut inputs {
            if let Some((_, new)) = self.names.iter().find(|(old, _)| old == name) {
                name.clone_from(new);
            }
        }
        Ok(inputs)
    }

    fn length(&self, number: usize) -> usize {
        self.data.length(number)
    }

    fn epoch(&self, shuffle: Option<Shuffle>) -> Vec<usize> {
        self.data.epoch(shuffle)
    }

    fn fingerprint(&self) -> Option<String> {
        self.data.fingerprint()
    }
}
