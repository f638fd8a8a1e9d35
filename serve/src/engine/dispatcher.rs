//! The way in and out of the engine: requests wait here until a thread computes them.

use super::heartbeat::{Heartbeat, Pulse};
use super::prepared::{Form, Prepared};
use super::served::{Done, Served};
use super::states::States;
use super::ticket::{Ticket, expired};
use super::workers::Workers;
use crate::failure::{Code, Failure, Result};
use crate::repository::LoadedModel;
use crate::schedule::{
    Batch, DeviceId, LaneId, LaneLimits, Limits, Refusal, RequestId, Scheduler, SequenceCounts, Time, Turn, Waiting,
};
use gristmill::SessionState;
use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How long a thread of the engine rests at most without showing that it is alive.
const REST: Duration = Duration::from_millis(500);

/// What bounds all queues together.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// The most requests that wait.
    pub requests: usize,
    /// The most bytes that they hold.
    pub bytes: usize,
}

/// Requests that wait, and the threads that compute them.
pub struct Dispatcher {
    core: Mutex<Core>,
    work: Condvar,
    start: Instant,
    heartbeat: Arc<Heartbeat>,
    workers: Workers,
}

struct Core {
    scheduler: Scheduler<Form>,
    jobs: HashMap<RequestId, Job>,
    states: States,
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

/// What a thread of the engine is to do.
pub(super) struct Work {
    pub(super) batch: Batch,
    pub(super) jobs: Vec<Job>,
    /// What the sequence holds that the batch belongs to; nothing at its beginning.
    pub(super) state: Option<SessionState>,
}

impl Dispatcher {
    /// A dispatcher without models.
    pub fn new(bounds: &Bounds) -> Arc<Self> {
        let limits = Limits { requests: bounds.requests, bytes: bounds.bytes, level: 100_000 };
        let core = Core {
            scheduler: Scheduler::new(limits),
            jobs: HashMap::new(),
            states: States::default(),
            next_request: 0,
            next_lane: 0,
            stopped: false,
        };
        let (core, work, start) = (Mutex::new(core), Condvar::new(), Instant::now());
        Arc::new(Dispatcher { core, work, start, heartbeat: Arc::default(), workers: Workers::default() })
    }

    /// When the engine was last seen.
    pub fn heartbeat(&self) -> &Arc<Heartbeat> {
        &self.heartbeat
    }

    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn time(&self, instant: Instant) -> Time {
        u64::try_from(instant.saturating_duration_since(self.start).as_micros()).unwrap_or(u64::MAX)
    }

    fn now(&self) -> Time {
        self.time(Instant::now())
    }

    /// Takes requests for a model from now on.
    ///
    /// # Errors
    /// [`Unavailable`](Code::Unavailable) when the system makes no more threads.
    pub fn open(self: &Arc<Self>, model: Arc<LoadedModel>) -> Result<Arc<Served>> {
        let (queue, batching, device) = (&model.config.queue, &model.config.batching, model.device.id);
        let limits = LaneLimits {
            device,
            instances: model.config.instances,
            requests: queue.max_requests,
            bytes: queue.max_bytes,
            rows: model.max_rows(),
            tokens: batching.max_tokens.unwrap_or(usize::MAX),
            delay: Time::from(batching.delay_ms) * 1_000,
            weight: queue.weight,
            sequences: model.max_sequences(),
            idle: Time::from(model.config.sequences.idle_seconds) * 1_000_000,
        };
        let (lane, (most, sum)) = {
            let mut core = self.core();
            let lane = core.next_lane;
            core.next_lane += 1;
            core.scheduler.open(lane, limits);
            (lane, core.scheduler.instances(device))
        };
        // Models on an adapter take turns; on the CPU each has threads of its own.
        let threads = if model.device.is_cpu() { sum } else { most };
        if let Err(e) = self.workers.raise(self, device, threads) {
            self.core().scheduler.close(lane);
            return Err(Failure::new(Code::Unavailable, format!("a thread of the engine cannot be started: {e}")));
        }
        Ok(Arc::new(Served::new(model, lane)))
    }

    /// Takes no more requests for a model; those that wait are served, and then its sequences end.
    pub fn close(&self, served: &Served) {
        let mut core = self.core();
        let running = core.scheduler.close(served.lane);
        core.states.close(&served.model.name, running);
        let ended = core.ended();
        drop(core);
        drop(ended);
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

    /// The sequences of a model.
    pub fn sequences(&self, served: &Served) -> SequenceCounts {
        self.core().scheduler.sequences(served.lane)
    }

    /// Takes a request. `None` when the model is closed: another may have taken its place.
    ///
    /// # Errors
    /// [`Busy`](Code::Busy) when a queue is full, [`Expired`](Code::Expired) when the deadline has passed,
    /// [`InvalidArgument`](Code::InvalidArgument) when its sequence does not run.
    pub fn submit(
        self: &Arc<Self>,
        served: &Arc<Served>,
        prepared: &Prepared,
        priority: Option<u32>,
        deadline: Option<Instant>,
    ) -> Result<Option<Ticket>> {
        let (reply, answer) = oneshot::channel();
        let arrival = Instant::now();
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
            sequence: prepared.sequence.clone(),
        };
        let offered = core.scheduler.offer(self.time(arrival), waiting);
        let ended = core.ended();
        let taken = match offered {
            Ok(()) => {
                if let Some(part) = prepared.sequence.as_ref().filter(|part| part.start) {
                    core.states.start(&served.model.name, &part.key);
                }
                core.jobs.insert(id, Job { prepared: prepared.clone(), served: served.clone(), reply, arrival });
                Ok(Some(id))
            }
            Err(Refusal::Closed) => Ok(None),
            Err(refusal) => Err(core.refused(served, prepared, refusal)),
        };
        drop(core);
        drop(ended);
        let Some(id) = taken? else { return Ok(None) };
        self.work.notify_all();
        Ok(Some(Ticket { dispatcher: self.clone(), id, answer }))
    }

    /// Forgets a request that waits; false where it does not.
    pub(super) fn cancel(&self, id: RequestId) -> bool {
        let now = self.now();
        let mut core = self.core();
        let job = core.jobs.remove(&id);
        let found = core.scheduler.cancel(now, id);
        let ended = core.ended();
        drop(core);
        drop((job, ended));
        if found {
            // The next of its sequence may be ready.
            self.work.notify_all();
        }
        found
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

    /// Waits for the end of the engine's threads. Blocks.
    pub fn join(&self) {
        self.workers.join();
    }

    /// Waits for the next batch of a device; none at the end. Requests that expired meanwhile are answered.
    pub(super) fn next_batch(&self, device: DeviceId, pulse: &Pulse) -> Option<Work> {
        let mut core = self.core();
        loop {
            pulse.beat();
            let now = self.now();
            let step = core.scheduler.step(now, device);
            for id in &step.expired {
                if let Some(job) = core.jobs.remove(id) {
                    // Whoever asked may have left.
                    job.reply.send(Err(expired())).ok();
                }
            }
            let ended = core.ended();
            if let Some(batch) = step.batch {
                let jobs = batch.requests.iter().filter_map(|id| core.jobs.remove(id)).collect();
                let state = batch.turn.as_ref().and_then(|turn| core.states.take(turn.run));
                drop(core);
                drop(ended);
                if !step.expired.is_empty() {
                    self.work.notify_all();
                }
                return Some(Work { batch, jobs, state });
            }
            if !ended.is_empty() {
                drop(core);
                drop(ended);
                core = self.core();
                continue;
            }
            if core.stopped && core.scheduler.is_empty() {
                return None;
            }
            let rest = step.wake.map_or(REST, |wake| Duration::from_micros(wake.saturating_sub(now)).min(REST));
            core = self.work.wait_timeout(core, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// A batch is computed, which took so long. `state` is what its sequence holds from now on.
    pub(super) fn finish(&self, batch: &Batch, state: Option<SessionState>, time: Duration) {
        let now = self.now();
        let mut core = self.core();
        if let Some((turn, state)) = batch.turn.as_ref().zip(state) {
            core.states.put(turn.run, state);
        }
        core.scheduler.finish(now, batch, u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        let ended = core.ended();
        drop(core);
        drop(ended);
        self.work.notify_all();
    }

    /// What a sequence held is lost: its requests that wait fail as the one that found it. Its batch is still to be [finished](Self::finish).
    pub(super) fn lose(&self, batch: &Batch, turn: &Turn, failure: &Failure) {
        let now = self.now();
        let mut core = self.core();
        let lost = core.scheduler.lose(now, batch.lane, turn);
        let jobs: Vec<Job> = lost.iter().filter_map(|id| core.jobs.remove(id)).collect();
        let ended = core.ended();
        drop(core);
        drop(ended);
        for job in jobs {
            // Whoever asked may have left.
            job.reply.send(Err(failure.clone())).ok();
        }
    }
}

impl Core {
    /// What sequences held that ended. It is to be dropped without the lock.
    fn ended(&mut self) -> Vec<SessionState> {
        let runs = self.scheduler.take_ended();
        self.states.end(runs)
    }

    fn refused(&self, served: &Served, prepared: &Prepared, refusal: Refusal) -> Failure {
        let code = match refusal {
            Refusal::Rows(_) | Refusal::NoSequence(_) => Code::InvalidArgument,
            Refusal::Expired => Code::Expired,
            _ => Code::Busy,
        };
        let name = &served.model.name;
        let part = prepared.sequence.as_ref();
        let message = match (refusal, part) {
            (Refusal::NoSequence(None), Some(part)) if self.states.went_with_model(name, &part.key) => {
                let key = &part.key;
                format!(
                    "model `{name}`: sequence {key}: the model was unloaded or loaded anew, and its sequences ended: start it again"
                )
            }
            (Refusal::NoSequence(_) | Refusal::Sequences(_), Some(part)) => {
                format!("model `{name}`: sequence {}: {refusal}", part.key)
            }
            _ => format!("model `{name}`: {refusal}"),
        };
        Failure::new(code, message)
    }
}
