//! Gristmill runs neural networks on any GPU through hand-written WGSL compute kernels.
//!
//! A [`Gpu`] is a device, a [`Model`] a network, and a [`Session`] runs one on the other. The first run with some input
//! shapes plans it; from then on a run with these shapes is one upload, one submit, one readback.
//!
//! ```no_run
//! use gristmill::{Gpu, Model, Options, Power, Session, SessionState, TensorView};
//!
//! # async fn example() -> gristmill::Result<()> {
//! let gpu = Gpu::new(Power::High).await?;
//! let model = Model::load("model.onnx")?;
//! let session = Session::new(&gpu, &model, Options::default()).await?;
//! let out = session.run(&[("input", TensorView::new(&[1, 3], &[0.5f32, -1.0, 2.0])?)]).await?;
//! let y: &[f32] = out["logits"].as_slice()?;
//! # Ok(())
//! # }
//! ```
//!
//! On native targets each async call has a blocking form beside it. Networks can also be written in Rust, and everything
//! runs without a GPU too, by the operators' references:
//!
//! ```
//! use gristmill::graph::{Builder, Dim};
//! use gristmill::{DType, Model, Options, Session, Tensor, operators};
//!
//! let mut b = Builder::new("softmax of twice the input");
//! let x = b.input("x", DType::F32, &[Dim::Named("batch".into()), Dim::Known(2)]);
//! let two = b.constant("two", Tensor::scalar(2.0f32));
//! let scaled = b.node("scaled", operators::binary("Mul")?, &[Some(x), Some(two)]);
//! let y = b.node("y", operators::softmax(-1), &[Some(scaled)]);
//! b.output("y", y)?;
//!
//! let session = Session::cpu(&Model::from_graph(b.finish()?), Options::default())?;
//! let input = Tensor::new([1, 2], &[0.0f32, 0.0])?;
//! let out = session.run_blocking(&[("x", input.view())])?;
//! assert_eq!(out["y"].as_slice::<f32>()?, [0.5, 0.5]);
//! # Ok::<(), gristmill::Error>(())
//! ```
//!
//! What is listed here is what the crate promises.
#![warn(missing_docs)]

mod error;
mod export;
mod gpu;
pub mod graph;
mod import;
#[doc(hidden)]
pub mod internals;
mod kernel;
pub mod models;
pub mod operators;
mod ops;
mod passes;
mod plan;
mod session;
mod tensor;
pub mod train;

pub use error::{Error, ErrorKind, Result};
pub use export::OnnxOptions;
pub use gpu::{CacheFolder, Counters, Gpu, GpuBuffer, GpuInput, KernelEvent, Power, Progress};
pub use graph::model::Model;
pub use graph::structure::{Form, Structure};
pub use kernel::{AdapterClass, Caps, Grid, Work};
pub use passes::Selection;
pub use plan::Chosen;
pub use session::{
    ExplainedHostNode, ExplainedStage, ExplainedState, ExplainedStep, Explanation, GpuOutputs, GradientReport, GradientValidation,
    InputInfo, Known, NoGradient, Options, Outputs, Profile, Session, SessionState, SlopeReport, Snapshot, Suspect, Timing,
    Tolerance, Tuning, Validation, ValueReport,
};
pub use tensor::{DType, Element, Shape, Tensor, TensorType, TensorView, View};
pub use wgpu;

/// The examples of README.md are compiled with the documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
