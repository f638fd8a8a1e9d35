//! The calls of a session that take states.

use super::session_state::SessionState;
use crate::error::{Error, Result};
use crate::gpu::boxed;
use crate::session::data::{InputInfo, Outputs};
use crate::session::front::Session;
use crate::session::runtime::named;
use crate::tensor::TensorView;

impl Session {
    /// The model's states, in order: what lasts from run to run.
    pub fn states(&self) -> &[InputInfo] {
        &self.plain().states
    }

    /// States as they are before the first run: they hold their initial values. A session makes any number of them.
    ///
    /// # Errors
    /// [`Internal`](crate::ErrorKind::Internal) only.
    pub fn state(&self) -> Result<SessionState> {
        let plain = self.plain();
        SessionState::new(self.identity().clone(), plain.graph.clone(), plain.states.clone(), plain.gpu(), plain.tally.clone())
    }

    /// Runs the model with states, which hold afterwards what the run makes of them. A run that fails leaves them as they were.
    ///
    /// # Errors
    /// As [`run`](Session::run); [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for states of another session;
    /// [`StateLost`](crate::ErrorKind::StateLost) where what they held is lost, with the number of the run;
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a state of open extents that was never set.
    pub async fn run_with(&self, state: &mut SessionState, inputs: &[(&str, TensorView<'_>)]) -> Result<Outputs> {
        if !std::sync::Arc::ptr_eq(&state.owner, self.identity()) {
            return Err(Error::invalid_argument("the states are those of another session"));
        }
        let runtime = self.runtime(inputs.iter().map(|(name, _)| *name))?;
        boxed(runtime.outputs_with(&named(inputs), &mut state.buffers)).await
    }

    /// [`run_with`](Session::run_with), blocking.
    ///
    /// # Errors
    /// As `run_with`.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn run_with_blocking(&self, state: &mut SessionState, inputs: &[(&str, TensorView<'_>)]) -> Result<Outputs> {
        crate::gpu::block_on(self.run_with(state, inputs))
    }
}
