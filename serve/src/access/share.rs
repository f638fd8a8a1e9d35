//! Memory for bodies: counted, and bounded.

use crate::failure::{Code, Failure, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// So many bytes that many requests share.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    held: Arc<AtomicUsize>,
    limit: usize,
    /// Whose requests they are, for a failure's message.
    whose: &'static str,
}

/// A share of the memory for bodies, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    pools: Vec<Pool>,
    bytes: usize,
}

impl Pool {
    pub(crate) fn new(held: Arc<AtomicUsize>, limit: usize, whose: &'static str) -> Self {
        Pool { held, limit, whose }
    }

    fn take(&self, bytes: usize) -> Result<()> {
        let more = |held: usize| held.checked_add(bytes).filter(|held| *held <= self.limit);
        match self.held.fetch_update(Ordering::AcqRel, Ordering::Acquire, more) {
            Ok(_) => Ok(()),
            Err(_) => {
                let Pool { limit, whose, .. } = self;
                Err(Failure::new(Code::Busy, format!("{whose} hold as much memory as they may, {limit} bytes")))
            }
        }
    }

    fn give_back(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::AcqRel);
    }
}

impl Share {
    /// A share of all of these at once, of nothing yet.
    pub(crate) fn new(pools: Vec<Pool>) -> Self {
        Share { pools, bytes: 0 }
    }

    /// Takes more of each pool, or nothing.
    ///
    /// # Errors
    /// [`Busy`](Code::Busy) when one has not so much left.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<()> {
        for (index, pool) in self.pools.iter().enumerate() {
            if let Err(failure) = pool.take(bytes) {
                self.pools.iter().take(index).for_each(|pool| pool.give_back(bytes));
                return Err(failure);
            }
        }
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.pools.iter().for_each(|pool| pool.give_back(self.bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_pool_refuses_no_other_keeps() {
        let (wide, narrow) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let pools = vec![Pool::new(wide.clone(), 100, "all"), Pool::new(narrow.clone(), 10, "few")];
        let held = || (wide.load(Ordering::Acquire), narrow.load(Ordering::Acquire));
        let mut share = Share::new(pools.clone());
        share.grow(6).expect("there is room");
        let refused = Share::new(pools).grow(5).expect_err("the second has no room");
        assert_eq!((refused.code(), refused.message()), (Code::Busy, "few hold as much memory as they may, 10 bytes"));
        assert_eq!(held(), (6, 6));
        assert!(share.grow(usize::MAX).is_err());
        share.grow(4).expect("there is room");
        drop(share);
        assert_eq!(held(), (0, 0));
    }
}
