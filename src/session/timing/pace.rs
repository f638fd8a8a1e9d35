//! Dispatches that run for the sake of the clock alone, or are recorded and never run.

use crate::error::{Error, Result};
use crate::gpu::{Clock, Range, Recording};
use crate::plan::PlannedState;
use crate::session::execution::loaded::LoadedPlan;
use crate::session::execution::state_buffers::StateBuffers;
use crate::tensor::{Scalar, Tensor};

impl LoadedPlan {
    /// States of a plan that has any, all zeros.
    async fn fresh_states(&self) -> Result<Option<StateBuffers>> {
        let plan = self.plan();
        if plan.states.is_empty() {
            return Ok(None);
        }
        let start = |state: &PlannedState| (state.name.clone(), state.input, Some(Tensor::zeros(state.read.clone())));
        let mut states = StateBuffers::new(plan.states.iter().map(start));
        states.prepare(self.shared()).await?;
        Ok(Some(states))
    }

    /// Records the commands of a run and forgets them; the number of dispatches.
    pub(crate) async fn rehearse(&self) -> Result<usize> {
        let instance = self.take().await?;
        let states = self.fresh_states().await?;
        for commands in instance.commands(self.shared(), states.as_ref()).await?.iter() {
            self.shared().gpu.rehearse(&Recording { commands, ..Recording::default() });
        }
        self.give_back(instance);
        Ok(self.plan().steps().count())
    }

    /// Microseconds of the host's clock that the dispatches of a run take, from `count` of them in one submission. They work on
    /// what the last run left in the instance's buffers.
    pub(crate) async fn pace(&self, count: usize) -> Result<f64> {
        let instance = self.take().await?;
        let states = self.fresh_states().await?;
        let all = instance.commands(self.shared(), states.as_ref()).await?;
        let gpu = &self.shared().gpu;
        let recording = |commands| Recording { commands, repeat: count - 1, ..Recording::default() };
        // The first round is not timed: it fills caches and raises clocks.
        for commands in all.iter() {
            gpu.submit_and_wait(&recording(commands)).await?;
        }
        let clock = Clock::start().ok_or_else(|| Error::unsupported("timing by the host's clock: there is none to read"))?;
        for commands in all.iter() {
            gpu.submit_and_wait(&recording(commands)).await?;
        }
        let elapsed = clock.microseconds();
        self.give_back(instance);
        Ok(elapsed / count as f64)
    }

    /// Microseconds that the dispatches take, from `count` times in one submission: by the device's clock where it has one. A
    /// clock that runs backwards gives a negative number.
    pub(crate) async fn duration(&self, count: usize) -> Result<f64> {
        let gpu = &self.shared().gpu;
        if !gpu.caps().timestamps {
            return self.pace(count).await;
        }
        let instance = self.take().await?;
        let mut total = 0.0;
        let states = self.fresh_states().await?;
        for commands in instance.commands(self.shared(), states.as_ref()).await?.iter().filter(|c| !c.is_empty()) {
            let timestamps = gpu.timestamps(commands.len() * count, &self.shared().tally).await?;
            let recording = Recording { commands, repeat: count - 1, timestamps: Some(&timestamps), ..Recording::default() };
            gpu.submit_and_wait(&recording).await?;
            total += gpu.span(&timestamps).await?;
        }
        self.give_back(instance);
        Ok(total / count as f64)
    }

    /// Fills the inputs with something to compute with: floats between -1 and 1, and zeros for integers, which are in range
    /// as indices of anything.
    pub(crate) async fn fill_inputs(&self) -> Result<()> {
        let instance = self.take().await?;
        let mut number = 1u32;
        let floats = || {
            number = number.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
            (f64::from(number) / f64::from(1u32 << 31) - 1.0) as f32
        };
        let floats: Vec<f32> = std::iter::repeat_with(floats).take(1 << 16).collect();
        let floats: &[u8] = bytemuck::cast_slice(&floats);
        for transfer in self.plan().segments.iter().flat_map(|s| &s.uploads).filter(|t| t.scalar == Scalar::F32) {
            let Range { buffer, offset, .. } = instance.range(self.shared(), None, transfer.tensor)?;
            let bytes = transfer.bytes() as usize;
            for start in (0..bytes).step_by(floats.len()) {
                self.shared().gpu.write(buffer, offset + start as u64, &floats[..floats.len().min(bytes - start)]);
            }
        }
        self.give_back(instance);
        Ok(())
    }
}
