//! A tenant: what is theirs, and what they have of it at the moment.

use super::share::Pool;
use crate::failure::{Code, Failure, Result};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How much a tenant may ask for; what is left out is not bounded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Limits {
    /// Requests at a time.
    pub(super) requests: Option<u32>,
    /// Requests a second: so many at once, and from then on evenly.
    pub(super) per_second: Option<u32>,
    /// Bytes of bodies in memory at a time.
    pub(super) bytes: Option<usize>,
}

/// What a tenant has at the moment. It outlives a reload of the keys.
#[derive(Debug, Default)]
pub(super) struct Usage {
    running: AtomicUsize,
    bytes: Arc<AtomicUsize>,
    rate: Mutex<Rate>,
}

/// When the next request would be due if all came evenly; see [`Rate::take`].
#[derive(Debug, Default)]
struct Rate(Option<Instant>);

/// Who has a key.
pub(crate) struct Tenant {
    pub(super) name: Arc<str>,
    /// The hashes of the tenant's keys.
    pub(super) hashes: Vec<[u8; 32]>,
    /// The names of the models that are there for the tenant; all where none are named.
    pub(super) models: Option<BTreeSet<String>>,
    /// Whether the tenant may change the repository and read metrics.
    pub(super) admin: bool,
    pub(super) limits: Limits,
    pub(super) usage: Arc<Usage>,
}

/// A request of a tenant that is being answered.
#[derive(Debug)]
pub(crate) struct Turn(Arc<Usage>);

impl Rate {
    /// Takes a request at a time, where `per_second` were not yet taken in the second before it; else says how long to wait.
    fn take(&mut self, now: Instant, per_second: u32) -> Result<(), Duration> {
        let second = Duration::from_secs(1);
        let next = self.0.map_or(now, |next| next.max(now)) + second / per_second.max(1);
        match next.checked_duration_since(now + second).filter(|wait| !wait.is_zero()) {
            Some(wait) => Err(wait),
            None => {
                self.0 = Some(next);
                Ok(())
            }
        }
    }
}

impl Tenant {
    /// The name, in logs and metrics.
    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Whether a model is there for the tenant.
    pub(crate) fn sees(&self, model: &str) -> bool {
        self.models.as_ref().is_none_or(|models| models.contains(model))
    }

    /// Whether the tenant may change the repository and read metrics.
    pub(crate) fn is_admin(&self) -> bool {
        self.admin
    }

    /// Begins a request, which ends when what is returned is dropped.
    ///
    /// # Errors
    /// [`Busy`](Code::Busy) when as many are being answered as may, or came within the last second.
    pub(crate) fn begin(&self, now: Instant) -> Result<Turn> {
        let limit = self.limits.requests.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let more = |running: usize| running.checked_add(1).filter(|running| *running <= limit);
        if self.usage.running.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).is_err() {
            return Err(Failure::new(Code::Busy, format!("the key allows {limit} requests at a time")));
        }
        let turn = Turn(self.usage.clone());
        if let Some(limit) = self.limits.per_second {
            let mut rate = self.usage.rate.lock().unwrap_or_else(PoisonError::into_inner);
            let taken = rate.take(now, limit);
            taken.map_err(|wait| Failure::new(Code::Busy, format!("the key allows {limit} requests a second")).after(wait))?;
        }
        Ok(turn)
    }

    /// The memory that the tenant's bodies may hold, where it is bounded.
    pub(crate) fn pool(&self) -> Option<Pool> {
        self.limits.bytes.map(|limit| Pool::new(self.usage.bytes.clone(), limit, "requests by the key"))
    }
}

impl fmt::Debug for Tenant {
    /// The name alone: hashes of keys are in no log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(limits: Limits) -> Tenant {
        Tenant { name: "a".into(), hashes: vec![], models: None, admin: false, limits, usage: Arc::default() }
    }

    #[test]
    fn so_many_at_a_time() {
        let tenant = tenant(Limits { requests: Some(2), ..Limits::default() });
        let now = Instant::now();
        let first = tenant.begin(now).expect("the first");
        let _second = tenant.begin(now).expect("the second");
        let refused = tenant.begin(now).expect_err("the third");
        assert_eq!((refused.code(), refused.retry_after()), (Code::Busy, Some(1)));
        drop(first);
        tenant.begin(now).expect("there is room again");
    }

    #[test]
    fn so_many_a_second_and_then_evenly() {
        let tenant = tenant(Limits { per_second: Some(4), ..Limits::default() });
        let start = Instant::now();
        let taken = |after: u64| tenant.begin(start + Duration::from_millis(after)).is_ok();
        assert!((0..4).all(|_| taken(0)));
        assert!(!taken(0) && !taken(249));
        assert!(taken(250) && !taken(250));
        // Nobody saves up more than a second.
        assert!((0..4).all(|_| taken(9_000)) && !taken(9_000));
        assert_eq!(tenant.usage.running.load(Ordering::Acquire), 0);
        assert!((0..4).all(|_| Rate::default().take(start, 1).is_ok()));
    }

    #[test]
    fn a_refused_request_says_when_to_come_again() {
        let tenant = tenant(Limits { per_second: Some(1), ..Limits::default() });
        let now = Instant::now();
        assert!(tenant.begin(now).is_ok());
        assert_eq!(tenant.begin(now).expect_err("the second").retry_after(), Some(1));
    }
}
