//! A device with what lies on it for a graph, and what happens when it is lost.

use super::data::weights::Weights;
use super::stages::planned::PlannedGraph;
use crate::error::Result;
use crate::gpu::{Gpu, Opaque};
use crate::graph::Graph;
use std::sync::{Arc, PoisonError, RwLock};

/// A device with all that is kept on it for one graph.
pub(crate) struct DeviceState {
    pub gpu: Gpu,
    pub weights: Weights,
    pub planned: PlannedGraph,
}

/// The device that a graph runs on now; it is replaced as a whole when it is lost.
pub(crate) struct DeviceSlot(RwLock<Opaque<DeviceState>>);

impl DeviceState {
    fn new(gpu: Gpu, graph: Arc<Graph>) -> Opaque<Self> {
        // What states hold need not go to the host.
        let resident = graph.written_states().iter().map(Option::is_some).collect();
        Opaque::new(DeviceState { gpu, weights: Weights::default(), planned: PlannedGraph::staying(graph, resident) })
    }
}

impl DeviceSlot {
    pub(crate) fn new(gpu: Gpu, graph: Arc<Graph>) -> Self {
        DeviceSlot(RwLock::new(DeviceState::new(gpu, graph)))
    }

    pub(crate) fn current(&self) -> Opaque<DeviceState> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The device in place of one that was lost; the weights are uploaded again from the host as plans need them.
    pub(crate) async fn replace(&self, lost: &Opaque<DeviceState>) -> Result<Opaque<DeviceState>> {
        let fresh = DeviceState::new(lost.gpu.replacement().await?, lost.planned.graph.clone());
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if current.is(lost) {
            *current = fresh;
        }
        Ok(current.clone())
    }
}
