//! What a step does where a batch is not finite: it holds back that batch and all after it, until it goes back.

use super::front::Step;
use super::options::Guard;
use super::write::FIRST;
use crate::error::{Error, Result};
use crate::ops::optimizer::{controls as at, number_of};
use crate::tensor::Tensor;

impl Step {
    /// The number of the next batch, as controls have it.
    pub(super) fn batch_number(&self) -> [f64; 2] {
        let number = self.watched.saturating_add(1) as f64;
        let page = (number / at::PAGE).floor();
        [number - page * at::PAGE, page.min(at::PAGE / 2.0 - 1.0)]
    }

    /// How many of the last batches nothing was learned from: the first of them had a loss, or gradients, that are infinite or no number, and those
    /// after it count for nothing either (see [`Guard`]). 0 while all is well. Reading it waits for the device.
    ///
    /// # Errors
    /// As [`SessionState::get`](crate::SessionState::get).
    pub async fn held_back(&self) -> Result<u64> {
        if self.options.guard == Guard::Nothing {
            return Ok(0);
        }
        // The word is a whole number that doubles hold.
        let first = number_of(self.number(FIRST).await? as i32);
        Ok(first.map_or(0, |first| self.watched.saturating_sub(first).saturating_add(1)))
    }

    /// Goes back to before the first batch that nothing was learned from: to the bytes that the step held then, to its number, and to the sums of
    /// the batches before it of the same update. From here on the step learns again. Returns how many batches it went back.
    ///
    /// # Errors
    /// As [`held_back`](Step::held_back).
    pub async fn go_back(&mut self) -> Result<u64> {
        let batches = self.held_back().await?;
        if batches > 0 {
            self.state.set(FIRST, &Tensor::scalar(0i32).view())?;
            let share = u64::from(self.options.accumulate);
            let before = self.steps.saturating_mul(share).saturating_add(self.summed.into()).saturating_sub(batches);
            self.steps = before / share;
            self.summed = u32::try_from(before % share).unwrap_or(0);
            self.watched = 0;
        }
        Ok(batches)
    }

    /// Checks that all batches were learned from.
    pub(super) async fn check_learned(&self) -> Result<()> {
        match self.held_back().await? {
            0 => Ok(()),
            batches => Err(Error::diverged(format!(
                "nothing was learned from the last {batches} batches: the loss or the gradients of the first of them are not finite; go back before it"
            ))),
        }
    }

    /// [`held_back`](Step::held_back), blocking.
    ///
    /// # Errors
    /// As `held_back`.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn held_back_blocking(&self) -> Result<u64> {
        crate::gpu::block_on(self.held_back())
    }

    /// [`go_back`](Step::go_back), blocking.
    ///
    /// # Errors
    /// As `go_back`.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn go_back_blocking(&mut self) -> Result<u64> {
        crate::gpu::block_on(self.go_back())
    }
}
