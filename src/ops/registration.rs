//! What a file of this folder says of itself.

use crate::kernel::Shader;

/// What a file of this folder offers.
#[derive(Debug)]
pub struct Registration {
    /// Names of its operators, as [`Op::name`](crate::graph::Op::name) gives them.
    pub operators: &'static [&'static str],
    /// The hand-written kernels it lowers to.
    pub shaders: &'static [&'static Shader],
}
