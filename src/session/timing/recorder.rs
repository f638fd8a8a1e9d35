//! Recording the times of a run's dispatches.

use super::profile::Timing;
use crate::error::Result;
use crate::gpu::{Gpu, Tally, Timestamps};
use crate::plan::{Plan, Segment, Step};
use std::sync::{Mutex, PoisonError};

/// Collects the dispatches of one run.
#[derive(Default)]
pub(crate) struct Recorder(Mutex<Vec<Timing>>);

/// Room for the timestamps of a plan's segments; an instance has it once it was profiled.
pub(crate) struct Timers(Vec<Timestamps>);

impl Recorder {
    /// Reads the times of a segment that the device has done.
    pub(crate) async fn record(&self, gpu: &Gpu, plan: &Plan, segment: &Segment, timestamps: &Timestamps) -> Result<()> {
        let times = gpu.elapsed(timestamps).await?;
        let timings = segment.steps.iter().zip(times).map(|(step, microseconds)| timing(plan, step, microseconds));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(timings);
        Ok(())
    }

    /// What was collected; it is empty afterwards.
    pub(crate) fn take(&self) -> Vec<Timing> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn timing(plan: &Plan, step: &Step, microseconds: f64) -> Timing {
    Timing {
        label: plan.graph.nodes()[step.node].path.clone(),
        kernel: plan.kernels[step.kernel].shader.name,
        variant: step.variant,
        grid: step.grid,
        work: step.work,
        microseconds,
    }
}

impl Timers {
    pub(crate) async fn new(gpu: &Gpu, plan: &Plan, tally: &Tally) -> Result<Self> {
        let mut timers = Vec::with_capacity(plan.segments.len());
        for segment in &plan.segments {
            timers.push(gpu.timestamps(segment.steps.len(), tally).await?);
        }
        Ok(Timers(timers))
    }

    /// Those of a segment.
    pub(crate) fn segment(&self, index: usize) -> Option<&Timestamps> {
        self.0.get(index)
    }
}
