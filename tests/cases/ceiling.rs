//! Rows of the operator that measures an adapter's arithmetic.

use super::{Case, Random};
use gristmill::internals::ops::ceiling::ceiling;

pub fn cases() -> Vec<Case> {
    let mut random = Random::new(31);
    let mut row =
        |name: &str, rounds, shape: &[usize]| Case::new(format!("ceiling/{name}"), ceiling(rounds), vec![random.floats(shape)]);
    vec![row("no_round", 0, &[8]), row("one_round", 1, &[3, 4]), row("several_workgroups", 5, &[260, 2]), row("empty", 3, &[0, 4])]
}
