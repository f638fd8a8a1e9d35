//! What training does with gradients: OptimizerUpdate changes parameters by them, Accumulate sums those of several runs. Both work on arenas, and over
//! what they read where a plan lets them. The numbers that change from run to run are an input, [`controls`].

mod accumulate;
pub mod controls;
mod rule;
mod update;

pub use accumulate::{Accumulate, accumulate};
pub use rule::Rule;
pub use update::{OptimizerUpdate, optimizer_update};

use super::Registration;

/// The operators of this folder.
pub static REGISTRATION: Registration =
    Registration { operators: &[update::NAME, accumulate::NAME], shaders: &[&update::OPTIMIZER_UPDATE, &accumulate::ACCUMULATE] };
