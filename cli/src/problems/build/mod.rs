//! What each family makes of a shape. A function gives the floating-point operations of the problem.

pub(super) mod images;
pub(super) mod movement;
pub(super) mod products;
pub(super) mod rows;
pub(super) mod sequences;
pub(super) mod windows;

use super::shape::Shape;
use super::{Fill, Problem};

fn product(extents: &[usize]) -> u64 {
    extents.iter().map(|n| *n as u64).product()
}
