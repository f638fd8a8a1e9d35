//! The first dispatch of each kernel, for a caller who watches progress.

use super::shared::Shared;
use crate::error::Result;
use crate::gpu::{Clock, KernelEvent, Recording};
use crate::plan::Segment;

/// Submits a segment and waits for it, in several submissions: kernels that never ran before have one of their own, and are timed.
pub(super) async fn submit_new_kernels_first(shared: &Shared, segment: &Segment, mut rest: Recording<'_>) -> Result<()> {
    let commands = rest.commands;
    let new = first_steps(shared, segment);
    if !new.is_empty() {
        shared.progress.tell(KernelEvent::Dispatching { kernels: new.len() });
    }
    let mut done = 0;
    for at in new {
        let (upload, before) = (rest.upload.take(), rest.before);
        let early = Recording { upload, before, commands: &commands[done..at], ..Recording::default() };
        shared.gpu.submit_and_wait(&early).await?;
        rest.before = &[];
        let clock = Clock::start();
        shared.gpu.submit_and_wait(&Recording { commands: &commands[at..=at], ..Recording::default() }).await?;
        let microseconds = clock.map_or(f64::NAN, |clock| clock.microseconds());
        let kernel = segment.steps[at].kernel;
        shared.pipelines[kernel].has_run();
        shared.progress.tell(KernelEvent::Dispatched { kernel: &shared.plan.kernels[kernel], microseconds });
        done = at + 1;
    }
    rest.commands = &commands[done..];
    shared.gpu.submit_and_wait(&rest).await
}

/// The first step of each kernel that never ran.
fn first_steps(shared: &Shared, segment: &Segment) -> Vec<usize> {
    let mut first: Vec<usize> = Vec::new();
    for (at, step) in segment.steps.iter().enumerate() {
        let is_new = shared.pipelines[step.kernel].is_new();
        if is_new && first.iter().all(|&known| segment.steps[known].kernel != step.kernel) {
            first.push(at);
        }
    }
    first
}
