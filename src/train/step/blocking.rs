//! The calls of a step that wait for the device.
#![cfg(not(target_arch = "wasm32"))]

use super::contents::Checkpoint;
use super::front::Step;
use crate::error::Result;
use crate::graph::Graph;
use crate::session::{Outputs, Profile};
use crate::tensor::{Tensor, TensorView};

impl Step {
    /// [`step`](Step::step), blocking.
    ///
    /// # Errors
    /// As `step`.
    pub fn step_blocking(&mut self, inputs: &[(&str, TensorView<'_>)]) -> Result<Outputs> {
        crate::gpu::block_on(self.step(inputs))
    }

    /// [`evaluate`](Step::evaluate), blocking.
    ///
    /// # Errors
    /// As `evaluate`.
    pub fn evaluate_blocking(&mut self, outputs: &[&str], inputs: &[(&str, TensorView<'_>)]) -> Result<Outputs> {
        crate::gpu::block_on(self.evaluate(outputs, inputs))
    }

    /// [`loss`](Step::loss), blocking.
    ///
    /// # Errors
    /// As `loss`.
    pub fn loss_blocking(&self) -> Result<f64> {
        crate::gpu::block_on(self.loss())
    }

    /// [`gradient_norm`](Step::gradient_norm), blocking.
    ///
    /// # Errors
    /// As `gradient_norm`.
    pub fn gradient_norm_blocking(&self) -> Result<Option<f64>> {
        crate::gpu::block_on(self.gradient_norm())
    }

    /// [`skipped`](Step::skipped), blocking.
    ///
    /// # Errors
    /// As `skipped`.
    pub fn skipped_blocking(&self) -> Result<u64> {
        crate::gpu::block_on(self.skipped())
    }

    /// [`profile`](Step::profile), blocking.
    ///
    /// # Errors
    /// As `profile`.
    pub fn profile_blocking(&self, inputs: &[(&str, TensorView<'_>)], repeat: usize) -> Result<Profile> {
        crate::gpu::block_on(self.profile(inputs, repeat))
    }

    /// [`get`](Step::get), blocking.
    ///
    /// # Errors
    /// As `get`.
    pub fn get_blocking(&self, name: &str) -> Result<Tensor> {
        crate::gpu::block_on(self.get(name))
    }

    /// [`set`](Step::set), blocking.
    ///
    /// # Errors
    /// As `set`.
    pub fn set_blocking(&mut self, name: &str, tensor: &TensorView<'_>) -> Result<()> {
        crate::gpu::block_on(self.set(name, tensor))
    }

    /// [`checkpoint`](Step::checkpoint), blocking.
    ///
    /// # Errors
    /// As `checkpoint`.
    pub fn checkpoint_blocking(&self) -> Result<Checkpoint> {
        crate::gpu::block_on(self.checkpoint())
    }

    /// [`to_graph`](Step::to_graph), blocking.
    ///
    /// # Errors
    /// As `to_graph`.
    pub fn to_graph_blocking(&self, outputs: &[&str]) -> Result<Graph> {
        crate::gpu::block_on(self.to_graph(outputs))
    }

    /// [`to_onnx`](Step::to_onnx), blocking.
    ///
    /// # Errors
    /// As `to_onnx`.
    pub fn to_onnx_blocking(&self, outputs: &[&str]) -> Result<Vec<u8>> {
        crate::gpu::block_on(self.to_onnx(outputs))
    }
}
