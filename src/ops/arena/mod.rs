//! Arenas: many tensors in one buffer, so that what is done to all of them alike is one dispatch. Part reads a tensor where it lies in an
//! arena, Join makes an arena of tensors, most of which their kernels write into their places.

mod join;
mod part;
mod places;

pub use join::{Join, join};
pub use part::{Part, part};
pub use places::{ALIGNMENT, side_by_side};

use super::Registration;

/// The operators of this folder.
pub static REGISTRATION: Registration = Registration { operators: &[part::NAME, join::NAME], shaders: &[&join::JOIN_GAPS] };
