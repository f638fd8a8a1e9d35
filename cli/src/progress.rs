//! Kernels as they are made ready: a bar on the terminal, and what each took.

use crate::failure::Result;
use crate::kernels::{KernelTime, Timed, times};
use gristmill::internals::plan::Plan;
use gristmill::{KernelEvent, Options, Progress};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long kernels are made ready before a bar tells of it.
const PATIENCE: Duration = Duration::from_secs(1);
/// After how long with nothing to do what comes next is something else.
const PAUSE: Duration = Duration::from_millis(500);
/// How often a bar is drawn anew.
const TICK: Duration = Duration::from_millis(200);

/// Watches kernels that sessions make ready. Where stderr is a terminal, a bar appears once that takes long, and goes when it
/// is done.
#[derive(Clone, Default)]
pub(crate) struct Watch {
    bars: MultiProgress,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    times: Vec<Timed>,
    busy: Option<Busy>,
    bar: Option<ProgressBar>,
}

/// Work that goes on.
struct Busy {
    since: Instant,
    last: Instant,
    doing: &'static str,
    done: usize,
    of: usize,
}

impl Watch {
    /// With a bar of its own.
    pub(crate) fn new() -> Self {
        Watch::default()
    }

    /// With a bar among these.
    pub(crate) fn among(bars: &MultiProgress) -> Self {
        Watch { bars: bars.clone(), ..Watch::default() }
    }

    /// Options of a session that is watched.
    pub(crate) fn options(&self, options: Options) -> Options {
        let watch = self.clone();
        Options { progress: Progress::to(move |event| watch.tell(event)), ..options }
    }

    /// What each kernel took that was made ready so far, the slowest first.
    pub(crate) fn times(&self, plan: Option<&Plan>, checked: bool) -> Result<Vec<KernelTime>> {
        times(&self.state().times, plan, checked)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, event: KernelEvent<'_>) {
        match event {
            KernelEvent::Compiling { kernels } => self.begin("kernels compiled", kernels),
            KernelEvent::Dispatching { kernels } => self.begin("kernels run for the first time", kernels),
            KernelEvent::Compiled { kernel, microseconds } => {
                let mut state = self.state();
                Timed::of(&mut state.times, kernel).compile_us += microseconds;
                state.step();
            }
            KernelEvent::Dispatched { kernel, microseconds } => {
                let mut state = self.state();
                Timed::of(&mut state.times, kernel).dispatch_us += microseconds;
                state.step();
            }
            _ => {}
        }
    }

    fn begin(&self, doing: &'static str, of: usize) {
        let mut state = self.state();
        let now = Instant::now();
        let goes_on = state.busy.as_ref().filter(|busy| now.duration_since(busy.last) < PAUSE).map(|busy| busy.since);
        let since = goes_on.unwrap_or(now);
        state.busy = Some(Busy { since, last: now, doing, done: 0, of });
        if since.elapsed() >= PATIENCE {
            state.show(&self.bars);
        } else if goes_on.is_none() {
            let watch = self.clone();
            thread::spawn(move || watch.show_later(since));
        }
    }

    /// Shows a bar when what began then still goes on after a while.
    fn show_later(&self, since: Instant) {
        thread::sleep(PATIENCE.saturating_sub(since.elapsed()));
        let mut state = self.state();
        if state.busy.as_ref().is_some_and(|busy| busy.since == since && busy.done < busy.of) {
            state.show(&self.bars);
        }
    }
}

impl State {
    fn show(&mut self, bars: &MultiProgress) {
        let Some(busy) = self.busy.as_ref().filter(|_| self.bar.is_none()) else { return };
        // Where stderr is no terminal it draws nothing.
        let bar = bars.add(ProgressBar::new(busy.of as u64).with_elapsed(busy.since.elapsed()));
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}, {elapsed}") {
            bar.set_style(style);
        }
        bar.set_message(busy.doing);
        bar.set_position(busy.done as u64);
        bar.enable_steady_tick(TICK);
        self.bar = Some(bar);
    }

    /// One kernel more is ready.
    fn step(&mut self) {
        let Some(busy) = &mut self.busy else { return };
        (busy.last, busy.done) = (Instant::now(), busy.done + 1);
        if let Some(bar) = &self.bar {
            bar.set_position(busy.done as u64);
            if busy.done >= busy.of {
                bar.finish_and_clear();
                self.bar = None;
            }
        }
    }
}
