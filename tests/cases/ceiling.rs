//! Rows of the operators that measure what an adapter computes and reads.

use super::{Case, Random};
use gristmill::internals::ops::ceiling::{ceiling, read_ceiling};

pub fn cases() -> Vec<Case> {
    let mut random = Random::new(31);
    let mut row =
        |name: &str, rounds, shape: &[usize]| Case::new(format!("ceiling/{name}"), ceiling(rounds), vec![random.floats(shape)]);
    let mut cases = vec![
        row("no_round", 0, &[8]),
        row("one_round", 1, &[3, 4]),
        row("several_workgroups", 5, &[260, 2]),
        row("empty", 3, &[0, 4]),
    ];
    for (name, rows, width) in [("one_row", 1, 4), ("seven_rows", 7, 516), ("eight_rows", 8, 12)] {
        let inputs = vec![random.floats(&[rows, width]), random.floats(&[width])];
        let row = |where_it_lies: &str| Case::new(format!("ceiling/reads_{name}_{where_it_lies}"), read_ceiling(), inputs.clone());
        cases.extend([row("input"), row("weight").weights(&[0])]);
    }
    cases
}
