//! Reading what the device wrote, outside of a run.

use super::buffer::{Range, Role};
use super::counters::Tally;
use super::device::Gpu;
use super::recording::{Copy, Recording};
use super::timestamps::Timestamps;
use crate::error::Result;

impl Gpu {
    /// The bytes of a range.
    pub(crate) async fn read(&self, from: Range<'_>, tally: &Tally) -> Result<Vec<u8>> {
        let bytes = from.bytes;
        let mut staging = self.lend("download", bytes.max(4), Role::Download, tally).await?;
        let after = [Copy { from, to: &staging, offset: 0 }];
        let done = self.submit_and_wait(&Recording { after: &after, map: Some(&staging), ..Recording::default() }).await;
        let read = done.and_then(|()| staging.mapped(bytes.max(4), |mapped| mapped[..bytes as usize].to_vec()));
        if read.is_err() {
            staging.spoil();
        }
        read
    }

    /// Microseconds of each dispatch of the last recording that wrote these.
    pub(crate) async fn elapsed(&self, timestamps: &Timestamps) -> Result<Vec<f64>> {
        let ticks = self.ticks(timestamps).await?;
        Ok(ticks.windows(2).map(|w| w[1].saturating_sub(w[0]) as f64 * self.microseconds_per_tick()).collect())
    }

    /// Microseconds from before the first dispatch to after the last one; negative when the clock ran backwards in between.
    pub(crate) async fn span(&self, timestamps: &Timestamps) -> Result<f64> {
        let ticks = self.ticks(timestamps).await?;
        let ends = ticks.first().zip(ticks.last());
        // Ticks count modulo 2^64, so that the difference is right as a signed number.
        Ok(ends.map_or(0.0, |(first, last)| last.wrapping_sub(*first).cast_signed() as f64 * self.microseconds_per_tick()))
    }

    fn microseconds_per_tick(&self) -> f64 {
        f64::from(self.queue().get_timestamp_period()) / 1000.0
    }

    async fn ticks(&self, timestamps: &Timestamps) -> Result<Vec<u64>> {
        let staging = &timestamps.staging;
        self.submit_and_wait(&Recording { map: Some(staging), ..Recording::default() }).await?;
        staging.mapped(staging.size(), |bytes| bytes.chunks_exact(8).map(|b| b.try_into().map_or(0, u64::from_ne_bytes)).collect())
    }
}
