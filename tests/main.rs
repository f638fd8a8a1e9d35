//! All integration tests in one binary, so that the GPU stack is linked once.
#![allow(unreachable_pub, reason = "a test binary exports nothing")]

mod cases;
#[cfg(feature = "cli")]
mod cli;
mod engine;
mod exactness;
mod faults;
mod hostile;
mod imports;
#[cfg(all(target_os = "linux", feature = "isa"))]
mod isa;
mod kernels;
mod layering;
mod lengths;
mod models;
mod onnx;
mod passes;
mod patterns;
mod pipelines;
mod plan;
mod properties;
mod quantized;
mod readme;
mod shader_contract;
mod shader_texts;
mod snapshots;
mod specials;
mod support;
mod suspects;
mod tuner;
