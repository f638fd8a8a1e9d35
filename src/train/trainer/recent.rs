//! Which batches a run has made since it last looked whether all is well.

use crate::train::data::Place;

/// How many batches may come between two looks.
const MOST: usize = 1 << 16;

/// The batches of a run since it last looked whether all is well.
#[derive(Debug, Default)]
pub(super) struct Recent(Vec<Place>);

impl Recent {
    /// A batch of this place comes.
    pub(super) fn push(&mut self, place: Place) {
        self.0.push(place);
    }

    /// Whether there are none.
    pub(super) fn are_none(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them are known to be well.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The place of the first of so many last ones.
    pub(super) fn before(&self, batches: u64) -> Option<Place> {
        let place = self.0.len().checked_sub(usize::try_from(batches).ok()?)?;
        self.0.get(place).copied()
    }

    /// Whether there are so many that it is time to look.
    pub(super) fn are_many(&self) -> bool {
        self.0.len() >= MOST
    }
}
