//! Submitting recordings, and waiting for them.

use super::device::Gpu;
use super::recording::Recording;
use crate::error::{Error, Result};

impl Gpu {
    /// Submits recordings at once; the device does them in its own time, one after another.
    pub(crate) async fn submit(&self, recordings: &[Recording<'_>]) -> Result<()> {
        self.guarded("running a plan", || self.queue().submit([self.record(recordings)])).await.map(|_| ())
    }

    /// Submits a recording and waits until it is done, and until `map` is mapped.
    pub(crate) async fn submit_and_wait(&self, recording: &Recording<'_>) -> Result<()> {
        let submit = || {
            if let Some(upload) = recording.upload {
                upload.buffer.unmap();
            }
            let submission = self.queue().submit([self.record(std::slice::from_ref(recording))]);
            let mapped = [(recording.map, wgpu::MapMode::Read), (recording.upload, wgpu::MapMode::Write)].map(|(buffer, mode)| {
                let (sender, receiver) = futures_intrusive::channel::shared::oneshot_channel();
                buffer.map(|buffer| {
                    buffer.buffer.map_async(mode, .., move |result| drop(sender.send(result)));
                    receiver
                })
            });
            (submission, mapped)
        };
        let (submission, mapped) = self.guarded("running a plan", submit).await?;
        self.wait(submission)?;
        for receiver in mapped.into_iter().flatten() {
            match receiver.receive().await {
                Some(Ok(())) => {}
                Some(Err(e)) => return Err(Error::internal("a buffer cannot be mapped").caused_by(e)),
                None => return Err(Error::internal("a buffer was never mapped")),
            }
        }
        Ok(())
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn wait(&self, submission: wgpu::SubmissionIndex) -> Result<()> {
        let wait = wgpu::PollType::Wait { submission_index: Some(submission), timeout: None };
        self.device().poll(wait).map(|_| ()).map_err(|e| Error::internal("waiting for the device failed").caused_by(e))
    }

    /// A browser runs callbacks by itself.
    #[cfg(target_arch = "wasm32")]
    fn wait(&self, _: wgpu::SubmissionIndex) -> Result<()> {
        Ok(())
    }

    /// Records and forgets.
    pub(crate) fn rehearse(&self, recording: &Recording<'_>) {
        drop(self.record(std::slice::from_ref(recording)));
    }
}
