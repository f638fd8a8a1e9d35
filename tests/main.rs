//! All integration tests in one binary, so that the GPU stack is linked once.
mod cases;
mod layering;
mod shader_contract;
