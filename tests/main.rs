//! All integration tests in one binary, so that the GPU stack is linked once.
#![allow(unreachable_pub, reason = "a test binary exports nothing")]

mod cases;
mod engine;
mod exactness;
mod faults;
mod flow;
mod front;
mod generation;
mod hostile;
mod identity;
mod imports;
mod kernels;
mod layering;
mod lengths;
mod lists;
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
mod silero;
mod snapshots;
mod sources;
mod specials;
mod states;
mod support;
mod suspects;
mod tuner;
mod variants;
