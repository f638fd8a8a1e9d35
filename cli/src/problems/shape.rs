//! How the shape of a problem is written: `64x56x56-64x3x3,pad=1`.

use gristmill::{Error, Result};
use std::collections::HashMap;

/// Numbers of a shape: its extents, those after `-`, and its options.
pub(super) struct Shape {
    pub(super) text: String,
    pub(super) extents: Vec<usize>,
    filter: Vec<usize>,
    options: HashMap<String, usize>,
}

impl Shape {
    pub(super) fn parse(text: &str) -> Option<Shape> {
        let mut parts = text.split(',');
        let numbers =
            |text: &str| text.split('x').map(|n| n.parse().ok().filter(|n| *n > 0 && *n <= 1 << 31)).collect::<Option<Vec<_>>>();
        let first = parts.next()?;
        let (extents, filter) = match first.split_once('-') {
            Some((extents, filter)) => (numbers(extents)?, numbers(filter)?),
            None => (numbers(first)?, vec![]),
        };
        let option = |part: &str| part.split_once('=').and_then(|(name, n)| Some((name.to_string(), n.parse().ok()?)));
        Some(Shape { text: text.to_string(), extents, filter, options: parts.map(option).collect::<Option<_>>()? })
    }

    /// An option after a comma.
    pub(super) fn option(&self, name: &str, default: usize) -> usize {
        self.options.get(name).copied().unwrap_or(default)
    }

    /// The extents where the family takes so many.
    pub(super) fn of<const N: usize>(&self) -> Result<[usize; N]> {
        <[usize; N]>::try_from(self.extents.as_slice()).map_err(|_| self.wrong())
    }

    /// Those after `-`.
    pub(super) fn filter<const N: usize>(&self) -> Result<[usize; N]> {
        <[usize; N]>::try_from(self.filter.as_slice()).map_err(|_| self.wrong())
    }

    /// The error of a shape that its family does not take.
    pub(super) fn wrong(&self) -> Error {
        Error::invalid_argument(format!(
            "the shape `{}` has another number of extents than its family takes; see `gristmill bench --help`",
            self.text
        ))
    }
}
