//! The calls of a session that take times.

use super::profile::{self, Profile};
use super::recorder::Recorder;
use crate::error::{Error, Result};
use crate::gpu::{Clock, Opaque, boxed};
use crate::session::execution::loaded::LoadedPlan;
use crate::session::execution::state_buffers::StateBuffers;
use crate::session::front::Session;
use crate::session::runtime::Runtime;
use crate::session::stages::planned::Route;
use crate::session::stages::states::all_inputs;
use crate::tensor::TensorView;

impl Session {
    /// Runs the model `repeat` times and takes the time of every dispatch.
    ///
    /// # Errors
    /// As [`run`](Session::run); [`Unsupported`](crate::ErrorKind::Unsupported) on the CPU, and where the adapter cannot
    /// write timestamps inside a pass.
    pub async fn profile(&self, inputs: &[(&str, TensorView<'_>)], repeat: usize) -> Result<Profile> {
        let runtime = self.runtime(inputs.iter().map(|(name, _)| *name))?;
        boxed(profiled(&runtime, inputs, repeat)).await
    }

    /// [`profile`](Session::profile), blocking.
    ///
    /// # Errors
    /// As `profile`.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn profile_blocking(&self, inputs: &[(&str, TensorView<'_>)], repeat: usize) -> Result<Profile> {
        crate::gpu::block_on(self.profile(inputs, repeat))
    }

    /// Records the commands of a run like this one and forgets them: what a run costs the CPU per dispatch, without the
    /// device's own time. Returns the number of dispatches.
    ///
    /// # Errors
    /// As [`run`](Session::run); [`Unsupported`](crate::ErrorKind::Unsupported) on the CPU, and for models that run in
    /// stages.
    #[doc(hidden)]
    pub async fn rehearse(&self, inputs: &[(&str, TensorView<'_>)]) -> Result<usize> {
        let runtime = self.runtime(inputs.iter().map(|(name, _)| *name))?;
        boxed(async { loaded(&runtime, inputs, "recording").await?.rehearse().await }).await
    }

    /// [`rehearse`](Session::rehearse), blocking.
    ///
    /// # Errors
    /// As `rehearse`.
    #[cfg(not(target_arch = "wasm32"))]
    #[doc(hidden)]
    pub fn rehearse_blocking(&self, inputs: &[(&str, TensorView<'_>)]) -> Result<usize> {
        crate::gpu::block_on(self.rehearse(inputs))
    }

    /// Runs the dispatches of these inputs `count` times over in one submission, and returns the microseconds that one time
    /// takes on the host's clock: what kernels cost where an adapter has no timestamps. Inputs are uploaded before, once, and
    /// nothing is read back.
    ///
    /// # Errors
    /// As [`rehearse`](Session::rehearse), and in a browser, which lends no clock.
    #[doc(hidden)]
    pub async fn pace(&self, inputs: &[(&str, TensorView<'_>)], count: usize) -> Result<f64> {
        let runtime = self.runtime(inputs.iter().map(|(name, _)| *name))?;
        boxed(paced(&runtime, inputs, count.max(1))).await
    }

    /// [`pace`](Session::pace), blocking.
    ///
    /// # Errors
    /// As `pace`.
    #[cfg(not(target_arch = "wasm32"))]
    #[doc(hidden)]
    pub fn pace_blocking(&self, inputs: &[(&str, TensorView<'_>)], count: usize) -> Result<f64> {
        crate::gpu::block_on(self.pace(inputs, count))
    }
}

async fn profiled(runtime: &Runtime, inputs: &[(&str, TensorView<'_>)], repeat: usize) -> Result<Profile> {
    let views = runtime.ordered(inputs)?;
    let device = runtime.need_device("profiling")?;
    let caps = device.gpu.caps();
    if !caps.timestamps {
        return Err(Error::unsupported(format!("{caps} cannot write timestamps inside a pass, so dispatches cannot be timed")));
    }
    // The first run compiles.
    runtime.compute(device.clone(), &views, None).await?;
    let (mut runs, mut walls) = (Vec::new(), Vec::new());
    // The first round warms up.
    for round in 0..=repeat.max(1) {
        let recorder = Recorder::default();
        runtime.compute(device.clone(), &views, Some(&recorder)).await?;
        let clock = Clock::start();
        runtime.compute(device.clone(), &views, None).await?;
        if round > 0 {
            walls.push(clock.map_or(f64::NAN, |clock| clock.microseconds()));
            runs.push(recorder.take());
        }
    }
    Ok(Profile {
        adapter: caps.to_string(),
        dispatches: profile::merge(&runs),
        totals: profile::totals(&runs),
        wall_microseconds: profile::median(walls),
        repeat: runs.len(),
    })
}

async fn paced(runtime: &Runtime, inputs: &[(&str, TensorView<'_>)], count: usize) -> Result<f64> {
    let views = runtime.ordered(inputs)?;
    // A run uploads, compiles and warms up.
    runtime.compute(runtime.need_device("timing kernels")?, &views, None).await?;
    loaded(runtime, inputs, "timing kernels").await?.pace(count).await
}

/// The one plan that inputs like these are run by.
async fn loaded(runtime: &Runtime, inputs: &[(&str, TensorView<'_>)], what: &str) -> Result<Opaque<LoadedPlan>> {
    let views = runtime.ordered(inputs)?;
    let device = runtime.need_device(what)?;
    let mut held = all_inputs(&runtime.graph, &views, &StateBuffers::of(&runtime.graph)?)?;
    match device.planned.route(&runtime.resources(&device), &mut held).await? {
        Route::Plan(loaded, _) => Ok(loaded),
        Route::Stages(_) => Err(Error::unsupported("a model that runs in stages has no single recording")),
    }
}
