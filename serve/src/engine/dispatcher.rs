//! The way in and out of the engine: requests wait here, and whoever asked for them waits for their answers.

use super::heartbeat::Heartbeat;
use super::prepared::{Form, Prepared};
use super::served::{Done, Served};
use crate::failure::{Code, Failure, Result};
use crate::repository::LoadedModel;
use crate::schedule::{LaneId, LaneLimits, Limits, Refusal, RequestId, Scheduler, Time, Waiting};
use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How long the engine rests at most without showing that it is alive.
const REST: Duration = Duration::from_millis(500);

/// What bounds all queues together.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// The most requests that wait.
    pub requests: usize,
    /// The most bytes that they hold.
    pub bytes: usize,
}

/// Requests that wait, and the engine that is to compute them.
pub struct Dispatcher {
    core: Mutex<Core>,
    work: Condvar,
    start: Instant,
    heartbeat: Heartbeat,
}

struct Core {
    scheduler: Scheduler<Form>,
    jobs: HashMap<RequestId, Job>,
    next_request: RequestId,
    next_lane: LaneId,
    stopped: bool,
}

/// A request with the way back.
pub(super) struct Job {
    pub(super) prepared: Prepared,
    pub(super) served: Arc<Served>,
    pub(super) reply: oneshot::Sender<Result<Done>>,
    pub(super) arrival: Instant,
}

/// A request that waits or is being computed. When it is dropped while the request waits, the request is forgotten.
pub struct Ticket {
    dispatcher: Arc<Dispatcher>,
    id: RequestId,
    answer: oneshot::Receiver<Result<Done>>,
}

impl Dispatcher {
    /// A dispatcher without models; [`start`](super::start) makes the engine.
    pub fn new(bounds: &Bounds) -> Arc<Self> {
        let limits = Limits { requests: bounds.requests, bytes: bounds.bytes, level: 100_000 };
        let scheduler = Scheduler::new(limits);
        let core = Core { scheduler, jobs: HashMap::new(), next_request: 0, next_lane: 0, stopped: false };
        let (work, start, heartbeat) = (Condvar::new(), Instant::now(), Heartbeat::new());
        Arc::new(Dispatcher { core: Mutex::new(core), work, start, heartbeat })
    }

    /// When the engine was last seen.
    pub fn heartbeat(&self) -> &Heartbeat {
        &self.heartbeat
    }

    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn time(&self, instant: Instant) -> Time {
        u64::try_from(instant.saturating_duration_since(self.start).as_micros()).unwrap_or(u64::MAX)
    }

    /// Takes requests for a model from now on.
    pub fn open(&self, model: Arc<LoadedModel>) -> Arc<Served> {
        let (queue, batching) = (&model.config.queue, &model.config.batching);
        let limits = LaneLimits {
            requests: queue.max_requests,
            bytes: queue.max_bytes,
            rows: model.max_rows(),
            tokens: batching.max_tokens.unwrap_or(usize::MAX),
            delay: Time::from(batching.delay_ms) * 1_000,
            weight: queue.weight,
        };
        let mut core = self.core();
        let lane = core.next_lane;
        core.next_lane += 1;
        core.scheduler.open(lane, limits);
        Arc::new(Served::new(model, lane))
    }

    /// Takes no more requests for a model; those that wait are served.
    pub fn close(&self, served: &Served) {
        self.core().scheduler.close(served.lane);
        self.work.notify_all();
    }

    /// Requests that wait for a model, and the bytes that they hold.
    pub fn waiting(&self, served: &Served) -> (usize, usize) {
        self.core().scheduler.waiting(served.lane).unwrap_or_default()
    }

    /// Requests that wait, all together, and the bytes that they hold.
    pub fn all_waiting(&self) -> (usize, usize) {
        let core = self.core();
        (core.scheduler.len(), core.scheduler.bytes())
    }

    /// Takes a request. `None` when the model is closed: another may have taken its place.
    ///
    /// # Errors
    /// [`Busy`](Code::Busy) when a queue is full, [`Expired`](Code::Expired) when the deadline has passed.
    pub fn submit(
        self: &Arc<Self>,
        served: &Arc<Served>,
        prepared: &Prepared,
        priority: Option<u32>,
        deadline: Option<Instant>,
    ) -> Result<Option<Ticket>> {
        let (reply, answer) = oneshot::channel();
        let now = Instant::now();
        let mut core = self.core();
        let id = core.next_request;
        core.next_request += 1;
        let waiting = Waiting {
            id,
            lane: served.lane,
            form: prepared.form.clone(),
            rows: prepared.rows,
            tokens: prepared.tokens,
            bytes: prepared.bytes,
            priority: priority.unwrap_or(served.model.config.queue.priority),
            deadline: deadline.map(|deadline| self.time(deadline)),
        };
        match core.scheduler.offer(self.time(now), waiting) {
            Ok(()) => {}
            Err(Refusal::Closed) => return Ok(None),
            Err(refusal) => {
                let code = match refusal {
                    Refusal::Rows(_) => Code::InvalidArgument,
                    Refusal::Expired => Code::Expired,
                    _ => Code::Busy,
                };
                return Err(Failure::new(code, format!("model `{}`: {refusal}", served.model.name)));
            }
        }
        core.jobs.insert(id, Job { prepared: prepared.clone(), served: served.clone(), reply, arrival: now });
        drop(core);
        self.work.notify_one();
        Ok(Some(Ticket { dispatcher: self.clone(), id, answer }))
    }

    /// Forgets a request that waits; false where it does not.
    fn cancel(&self, id: RequestId) -> bool {
        let mut core = self.core();
        core.jobs.remove(&id);
        core.scheduler.cancel(id)
    }

    /// No batch waits for more requests from now on.
    pub fn hurry(&self) {
        self.core().scheduler.hurry();
        self.work.notify_all();
    }

    /// The engine ends when nothing waits any more.
    pub fn stop(&self) {
        self.core().stopped = true;
        self.work.notify_all();
    }

    /// Waits for the next batch; none at the end. Requests that expired meanwhile are answered.
    pub(super) fn next_batch(&self) -> Option<Vec<Job>> {
        let mut core = self.core();
        loop {
            self.heartbeat.beat();
            let now = self.time(Instant::now());
            let step = core.scheduler.step(now);
            for id in step.expired {
                if let Some(job) = core.jobs.remove(&id) {
                    // Whoever asked may have left.
                    job.reply.send(Err(expired())).ok();
                }
            }
            if let Some(batch) = step.batch {
                return Some(batch.requests.iter().filter_map(|id| core.jobs.remove(id)).collect());
            }
            if core.stopped && core.scheduler.is_empty() {
                return None;
            }
            let rest = step.wake.map_or(REST, |wake| Duration::from_micros(wake.saturating_sub(now)).min(REST));
            core = self.work.wait_timeout(core, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// What a batch of a model took.
    pub(super) fn charge(&self, served: &Served, time: Duration) {
        self.core().scheduler.charge(served.lane, u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        self.heartbeat.beat();
    }
}

fn expired() -> Failure {
    Failure::new(Code::Expired, "the deadline passed before the request was computed")
}

impl Ticket {
    /// Waits for the answer. A request that still waits at its deadline is answered then, whatever the engine is at.
    ///
    /// # Errors
    /// What the run reports; [`Expired`](Code::Expired) when the deadline passed before the request was computed.
    pub async fn answer(mut self, deadline: Option<Instant>) -> Result<Done> {
        let answer = match deadline {
            None => (&mut self.answer).await,
            Some(deadline) => match tokio::time::timeout_at(deadline.into(), &mut self.answer).await {
                Ok(answer) => answer,
                Err(_) if self.dispatcher.cancel(self.id) => return Err(expired()),
                Err(_) => (&mut self.answer).await,
            },
        };
        answer.unwrap_or_else(|_| Err(Failure::internal("the engine left a request without an answer")))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.dispatcher.cancel(self.id);
    }
}
