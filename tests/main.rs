//! All integration tests in one binary, so that the GPU stack is linked once.
mod cases;
mod cli;
mod engine;
mod hostile;
mod kernels;
mod layering;
mod models;
mod onnx;
mod patterns;
mod shader_contract;
mod support;
