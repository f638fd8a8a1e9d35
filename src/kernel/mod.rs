//! Floor 1: GPU work as plain data.
//!
//! A [`Kernel`] says what to compile (a shader file, its preludes, constants and generated epilogue), a [`Dispatch`] what
//! to run (a kernel, its parameters, what it binds, its grid), [`Caps`] for which adapter. Nothing here names a GPU API:
//! all of it can be printed, compared and built on a machine that has none.

mod caps;
mod dispatch;
mod fingerprint;
mod fits;
mod lowering;
mod offers;
mod params;
mod program;
mod shader;
pub mod software;
mod workgroup;

pub use caps::{AdapterClass, Caps};
pub use dispatch::{Dispatch, Grid, Operand, Packing, Table, Work};
pub use lowering::Lowering;
pub use offers::{Declined, Offer, Offers, Rank};
pub use params::{Cell, Field, Parameters, u32s};
pub use program::{Arguments, Bounds, BoundsRule, Instruction, Printed, Program, ProgramOperand, ScalarFunction, Signature, Term};
pub use shader::{Access, Kernel, Prelude, Shader, TEXTURE_WIDTH, preludes};

pub(crate) use fingerprint::Fingerprint;
pub(crate) use params::params;
pub(crate) use shader::{file_name, shader};
