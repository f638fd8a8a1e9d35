//! What an operator offers for a node: variants in order of preference, and why others do not fit.

use super::{Caps, Lowering};
use crate::error::{Error, ErrorKind, Result};

/// Where a variant stands in the order of preference: the smallest goes first; of equal ones, whichever was offered first.
pub type Rank = u32;

/// A variant that fits the node and the adapter.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    /// Its name, for `explain` and `bench`.
    pub variant: &'static str,
    /// What it does.
    pub lowering: Lowering,
}

/// A variant that does not fit.
#[derive(Debug)]
pub struct Declined {
    /// Its name.
    pub variant: &'static str,
    /// What it lacks.
    pub reason: Error,
}

/// Collects the variants of one node for one adapter.
///
/// Each is made by a closure that may find that it does not fit: by an error of kind [`Unsupported`](ErrorKind::Unsupported) or
/// [`Limit`](ErrorKind::Limit), which becomes the reason that `explain` shows. Grids, loops, workgroups, scratch and the number of
/// bindings are held against the adapter's limits here, so that operators need not.
#[derive(Debug)]
pub struct Offers<'a> {
    caps: &'a Caps,
    made: Vec<(Rank, Offer)>,
    declined: Vec<(Rank, Declined)>,
    /// The first error that is no reason but a fault.
    fault: Option<Error>,
}

impl<'a> Offers<'a> {
    /// No offer yet.
    pub fn new(caps: &'a Caps) -> Self {
        Offers { caps, made: Vec::new(), declined: Vec::new(), fault: None }
    }

    /// The adapter they are for.
    pub fn caps(&self) -> &'a Caps {
        self.caps
    }

    /// Offers a variant, or notes why it does not fit.
    pub fn add(&mut self, variant: &'static str, rank: Rank, make: impl FnOnce() -> Result<Lowering>) {
        let fitting = make().and_then(|lowering| {
            lowering.fits(self.caps)?;
            Ok(lowering)
        });
        match fitting {
            Ok(lowering) => self.made.push((rank, Offer { variant, lowering })),
            Err(reason) if matches!(reason.kind(), ErrorKind::Unsupported | ErrorKind::Limit) => {
                self.declined.push((rank, Declined { variant, reason }));
            }
            Err(fault) => self.fault = self.fault.take().or(Some(fault)),
        }
    }

    /// Offers the only variant there is.
    pub fn only(&mut self, variant: &'static str, make: impl FnOnce() -> Result<Lowering>) {
        self.add(variant, 0, make);
    }

    /// Offers output 0 as input `input` under another shape: no work at all.
    pub fn alias(&mut self, input: usize) {
        self.add("alias", 0, || Ok(Lowering::Alias { input }));
    }

    /// Offers output 0 as a run of elements of input `input`, from this one on, where it lies.
    pub fn window(&mut self, input: usize, first: usize) {
        self.add("window", 0, || Ok(Lowering::Window { input, first }));
    }

    /// Puts all variants of another family (the matrix product that a convolution is) in the place of one.
    ///
    /// # Errors
    /// What `offer` reports, unless it is a reason.
    pub fn group(&mut self, rank: Rank, offer: impl FnOnce(&mut Offers<'a>) -> Result<()>) -> Result<()> {
        let mut inner = Offers::new(self.caps);
        offer(&mut inner)?;
        inner.sort();
        self.made.extend(inner.made.into_iter().map(|(_, offer)| (rank, offer)));
        self.declined.extend(inner.declined.into_iter().map(|(_, declined)| (rank, declined)));
        self.fault = self.fault.take().or(inner.fault);
        Ok(())
    }

    fn sort(&mut self) {
        self.made.sort_by_key(|(rank, _)| *rank);
        self.declined.sort_by_key(|(rank, _)| *rank);
    }

    /// The variants that fit, the best first, and those that do not.
    ///
    /// # Errors
    /// The first fault, if there was one.
    pub fn finish(mut self) -> Result<(Vec<Offer>, Vec<Declined>)> {
        self.sort();
        match self.fault {
            Some(fault) => Err(fault),
            None => Ok((
                self.made.into_iter().map(|(_, offer)| offer).collect(),
                self.declined.into_iter().map(|(_, declined)| declined).collect(),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_rank_goes_first_and_reasons_are_kept() {
        let caps = Caps::portable();
        let mut offers = Offers::new(&caps);
        offers.add("second", 1, || Ok(Lowering::new(vec![])));
        offers.add("unfit", 2, || Err(Error::unsupported("too wide")));
        offers.add("first", 0, || Ok(Lowering::new(vec![])));
        let group = offers.group(1, |inner| {
            inner.add("fourth", 7, || Ok(Lowering::new(vec![])));
            inner.add("third", 3, || Ok(Lowering::new(vec![])));
            Ok(())
        });
        group.expect("nothing is wrong");
        let (made, declined) = offers.finish().expect("nothing is wrong");
        assert_eq!(made.iter().map(|o| o.variant).collect::<Vec<_>>(), ["first", "second", "third", "fourth"]);
        assert_eq!(declined.iter().map(|d| (d.variant, d.reason.message())).collect::<Vec<_>>(), [("unfit", "too wide")]);
    }

    #[test]
    fn a_fault_is_no_reason() {
        let caps = Caps::portable();
        let mut offers = Offers::new(&caps);
        offers.add("broken", 0, || Err(Error::internal("a bug")));
        offers.add("sound", 1, || Ok(Lowering::new(vec![])));
        assert_eq!(offers.finish().err().map(|e| e.kind()), Some(ErrorKind::Internal));
    }
}
