//! The contents of a session's states, which the caller holds.

use crate::error::{Error, ErrorKind, Result};
use crate::gpu::{Gpu, OpaqueBox, Tally, boxed};
use crate::graph::{Graph, State};
use crate::session::data::inputs::{InputInfo, fits_alone};
use crate::session::execution::state_buffers::StateBuffers;
use crate::tensor::{Tensor, TensorView};
use std::sync::Arc;

/// What the states of a session hold: the cache of a decoder, the last step of a recurrent network. Each is independent of all others, and
/// one run at a time has it. Contents stay on the GPU from run to run.
///
/// A run that fails leaves all states as they were. When the device is lost, what it held is lost too; so is what a run held that was dropped
/// half-way. Such a state says [`StateLost`](ErrorKind::StateLost), with the number of the run, until it is set or reset.
pub struct SessionState {
    pub(super) owner: Arc<()>,
    pub(super) buffers: OpaqueBox<StateBuffers>,
    graph: Arc<Graph>,
    infos: Vec<InputInfo>,
    gpu: Option<Gpu>,
    tally: Arc<Tally>,
}

/// What the states of a session held at some time, on the host; those that were never set are left out.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    tensors: Vec<(String, Tensor)>,
}

impl Snapshot {
    /// Names and contents, in the model's order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// What the state of a name held.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.iter().find(|(known, _)| *known == name).map(|(_, tensor)| tensor)
    }
}

impl SessionState {
    pub(super) fn new(
        owner: Arc<()>,
        graph: Arc<Graph>,
        infos: Vec<InputInfo>,
        gpu: Option<Gpu>,
        tally: Arc<Tally>,
    ) -> Result<Self> {
        let buffers = OpaqueBox::new(StateBuffers::of(&graph)?);
        Ok(SessionState { owner, buffers, graph, infos, gpu, tally })
    }

    /// Names and types of the states.
    pub fn infos(&self) -> &[InputInfo] {
        &self.infos
    }

    /// How many runs were begun with it.
    pub fn runs(&self) -> u64 {
        self.buffers.run
    }

    fn named(&self, name: &str) -> Result<(&State, &InputInfo)> {
        let place = self.infos.iter().position(|info| info.name == name);
        let found = place.and_then(|place| Some((self.graph.states().get(place)?, self.infos.get(place)?)));
        found.ok_or_else(|| {
            let names: Vec<String> = self.infos.iter().map(|info| format!("`{}`", info.name)).collect();
            Error::invalid_argument(format!("`{name}` is no state of the model; there are {}", names.join(", ")))
        })
    }

    /// What a state holds.
    ///
    /// # Errors
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) for a name that no state has; [`StateLost`](ErrorKind::StateLost) when it was;
    /// [`InvalidInput`](ErrorKind::InvalidInput) when it was never set; what the device reports.
    pub async fn get(&self, name: &str) -> Result<Tensor> {
        let held = self.buffers.held_now(self.named(name)?.0.input)?;
        let device = self.buffers.device().or(self.gpu.as_ref());
        match (held.on_host(), device) {
            (Some(view), _) => Ok(view.to_tensor()),
            (None, Some(gpu)) => boxed(held.tensor(gpu, &self.tally)).await,
            (None, None) => Err(Error::internal(format!("state `{name}` is nowhere"))),
        }
    }

    /// Makes a state hold a tensor.
    ///
    /// # Errors
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) for a name that no state has; [`InvalidInput`](ErrorKind::InvalidInput) for a
    /// tensor that the state is not declared to hold.
    pub fn set(&mut self, name: &str, tensor: &TensorView<'_>) -> Result<()> {
        let (state, info) = self.named(name)?;
        fits_alone("state", info, tensor.dtype(), tensor.shape())?;
        let input = state.input;
        self.buffers.set(input, Some(tensor.to_tensor()))
    }

    /// Makes all states hold what they did before the first run.
    ///
    /// # Errors
    /// [`Internal`](ErrorKind::Internal) only.
    pub fn reset(&mut self) -> Result<()> {
        for state in self.graph.states() {
            let start = state.start(self.graph.state_input(state)?);
            self.buffers.set(state.input, start)?;
        }
        Ok(())
    }

    /// What all states hold.
    ///
    /// # Errors
    /// As [`get`](SessionState::get); states that were never set are left out.
    pub async fn snapshot(&self) -> Result<Snapshot> {
        let mut tensors = Vec::with_capacity(self.infos.len());
        for info in &self.infos {
            match self.get(&info.name).await {
                Ok(tensor) => tensors.push((info.name.clone(), tensor)),
                Err(error) if error.kind() == ErrorKind::InvalidInput => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Snapshot { tensors })
    }

    /// Makes all states hold what they held when a snapshot was made, of this or another set of states of the same model.
    ///
    /// # Errors
    /// As [`set`](SessionState::set), before any state is changed.
    pub fn restore(&mut self, snapshot: &Snapshot) -> Result<()> {
        for (name, tensor) in snapshot.iter() {
            fits_alone("state", self.named(name)?.1, tensor.dtype(), tensor.shape())?;
        }
        for state in self.graph.states() {
            self.buffers.set(state.input, snapshot.get(&state.name).cloned())?;
        }
        Ok(())
    }

    /// [`get`](SessionState::get), blocking.
    ///
    /// # Errors
    /// As `get`.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn get_blocking(&self, name: &str) -> Result<Tensor> {
        crate::gpu::block_on(self.get(name))
    }

    /// [`snapshot`](SessionState::snapshot), blocking.
    ///
    /// # Errors
    /// As `snapshot`.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn snapshot_blocking(&self) -> Result<Snapshot> {
        crate::gpu::block_on(self.snapshot())
    }
}

impl std::fmt::Debug for SessionState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.infos.iter().map(|info| info.name.as_str()).collect();
        write!(f, "SessionState({} after {} runs)", names.join(", "), self.runs())
    }
}
