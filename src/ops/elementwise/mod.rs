//! Elementwise operators: one operator, [`Map`], over a [`Program`](crate::kernel::Program) of scalar functions, and the
//! functions themselves.

mod activation;
mod arithmetic;
mod build;
mod cast;
mod derivative;
mod evaluate;
mod functions;
mod gradient;
mod logic;
mod lookup;
mod map;
mod software;
mod transcendental;

pub use build::{CastLike, binary, cast, cast_like, clip, clip_operands, select, unary, unary_with, variadic};
pub use lookup::{all, function};
pub use map::Map;

pub(crate) use evaluate::evaluate;
pub(crate) use map::REGISTRATION;
