//! Softmax, LogSoftmax and Hardmax.

use super::{Case, Random};
use gristmill::Tensor;
use gristmill::internals::ops::softmax::{hardmax, log_softmax, softmax};

pub fn cases() -> Vec<Case> {
    let mut random = Random::new(0x50F7);
    let mut cases = vec![];
    // Shapes that take each kernel: rows in registers with and without a remainder, in fours and not, rows too long for
    // that, an inner axis, few rows of it, and everything of extent 0 or 1.
    let rows: &[(&str, &[usize], i64)] = &[
        ("scalar", &[], -1),
        ("vector", &[7], 0),
        ("last_axis_odd", &[3, 5, 37], -1),
        ("last_axis_fours", &[5, 64], 1),
        ("one_column", &[9, 1], -1),
        ("one_row", &[1, 1000], -1),
        ("many_rows", &[70, 12], -1),
        ("copied", &[65, 1020], -1),
        ("long_row", &[2, 20011], -1),
        ("long_row_fours", &[3, 40016], -1),
        ("longest_row", &[1, 150001], -1),
        ("first_axis", &[6, 50], 0),
        ("middle_axis", &[2, 33, 40], 1),
        ("middle_axis_odd", &[3, 19, 77], 1),
        ("axis_of_one", &[4, 1, 80], 1),
        ("long_first_axis", &[40000, 3], 0),
        ("long_middle_axis", &[2, 70000, 8], 1),
        ("rank_8", &[1, 2, 1, 3, 2, 1, 2, 5], -3),
        ("no_rows", &[0, 4], 1),
        ("no_columns", &[4, 0], 1),
    ];
    for (name, shape, axis) in rows {
        cases.push(Case::new(format!("softmax/{name}"), softmax(*axis), vec![random.floats(shape)]));
        cases.push(Case::new(format!("log_softmax/{name}"), log_softmax(*axis), vec![random.floats(shape)]));
    }
    for (name, shape, axis) in rows.iter().filter(|(_, shape, _)| shape.iter().product::<usize>() < 2000) {
        cases.push(Case::new(format!("hardmax/{name}"), hardmax(*axis), vec![random.floats(shape)]));
    }
    let infinite = f32::NEG_INFINITY;
    let special = [
        ("large_numbers", [0.0f32, 1.0, 2.0, 3.0, 10000.0, 10001.0, 10002.0, 10003.0]),
        ("partly_masked", [infinite, 0.5, infinite, 1.0, infinite, infinite, infinite, 2.0]),
        ("masked_row", [infinite, infinite, infinite, infinite, 1.0, 2.0, 3.0, 4.0]),
        ("nan", [1.0, f32::NAN, 2.0, 3.0, 0.0, 0.0, 0.0, 0.0]),
        ("lowest", [f32::MIN, f32::MIN, f32::MIN, f32::MIN, 0.0, f32::MIN, f32::MAX, 1.0]),
    ];
    for (name, values) in special {
        let tensor = |shape: &[usize]| Tensor::new(shape, &values).expect("eight values");
        cases.push(Case::new(format!("softmax/{name}"), softmax(-1), vec![tensor(&[2, 4])]));
        cases.push(Case::new(format!("softmax/{name}_first_axis"), softmax(0), vec![tensor(&[4, 2])]));
        if name != "masked_row" {
            cases.push(Case::new(format!("log_softmax/{name}"), log_softmax(-1), vec![tensor(&[2, 4])]));
        }
    }
    cases
}
