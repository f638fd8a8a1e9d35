//! What operators of several families use and none of them owns: index arithmetic of the references, what is asked of facts, and the
//! form of kernels with an invocation for each element.

mod dispatch;
mod facts;
mod index;

pub(crate) use dispatch::{ENOUGH_WORKGROUPS, WORKGROUP, axis_parameters, in_units, number, one_each, scalar_number, unit};
pub(crate) use facts::{bits, facts, indices, known, known_optional, no_scalar, on_gpu, union};
pub(crate) use index::{around, compare_floats, pick, unravel, wrap};
