//! What training does with gradients: OptimizerUpdate changes parameters by them, Accumulate sums those of several runs, FirstNonFinite notes the first
//! that nothing can be learned from. All work on arenas, and over what they read where a plan lets them. The numbers that change from run to run are an input, [`controls`].

mod accumulate;
pub mod controls;
mod rule;
mod update;
mod watch;

pub use accumulate::{Accumulate, accumulate};
pub use rule::Rule;
pub use update::{OptimizerUpdate, optimizer_update};
pub use watch::{FirstNonFinite, GREATEST, first_non_finite, is_sound, number_of, word_of};

use super::Registration;

/// The operators of this folder.
pub static REGISTRATION: Registration = Registration {
    operators: &[update::NAME, accumulate::NAME, watch::NAME],
    shaders: &[&update::OPTIMIZER_UPDATE, &accumulate::ACCUMULATE, &watch::FIRST_NON_FINITE],
};
