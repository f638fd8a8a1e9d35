//! Rows of pooling.

use super::{Case, Random, Tolerance};
use gristmill::DType;
use gristmill::internals::graph::Op;
use gristmill::internals::ops::conv::{AutoPad, SlidingWindow};
use gristmill::internals::ops::pool::{
    average_pool, global_average_pool, global_lp_pool, global_max_pool, lp_pool, max_pool, sum_of_windows,
};
use std::sync::Arc;

fn window(kernel: &[i64], strides: &[i64], dilations: &[i64], pads: &[i64]) -> SlidingWindow {
    let [kernel_shape, strides, dilations, pads] = [kernel, strides, dilations, pads].map(<[i64]>::to_vec);
    SlidingWindow { kernel_shape, strides, dilations, pads, ..SlidingWindow::default() }
}

fn row(name: &str, op: Arc<dyn Op>, x: &[usize]) -> Case {
    Case::new(format!("pool/{name}"), op, vec![Random::new(name.len() as u64).floats(x)])
}

/// Back from windows to what is under them: all that they hold, or each for one element of its own.
fn sums_of_windows() -> Vec<Case> {
    let mut random = Random::new(0x5EA);
    let mut cases = vec![];
    for (name, shape, windows, window, ceil_mode) in [
        ("apart", vec![2, 3, 8, 10], vec![2, 3, 4, 5], window(&[2, 2], &[2, 2], &[], &[]), false),
        ("overlapping", vec![1, 5, 7, 9], vec![1, 5, 4, 5], window(&[3, 3], &[2, 2], &[], &[1; 4]), false),
        ("dilated", vec![1, 2, 9, 11], vec![1, 2, 8, 5], window(&[3, 2], &[1, 2], &[2, 3], &[1, 0, 2, 1]), false),
        ("ceil", vec![1, 1, 5, 5], vec![1, 1, 3, 3], window(&[2, 2], &[2, 2], &[], &[]), true),
        ("1d", vec![2, 3, 17], vec![2, 3, 8], window(&[3], &[2], &[], &[]), false),
        ("3d", vec![1, 2, 5, 6, 7], vec![1, 2, 4, 2, 3], window(&[2, 3, 2], &[1, 2, 2], &[], &[]), false),
    ] {
        let op = sum_of_windows(&shape, &window, ceil_mode).expect("the window fits");
        let held = random.floats(&windows);
        let elements: usize = shape.iter().product();
        let places = random.integers(DType::I64, &windows, 0, elements as i64);
        cases.push(Case::new(format!("window_sum/{name}"), op.clone(), vec![held.clone()]));
        cases.push(Case::new(format!("window_sum/{name}_chosen"), op.clone(), vec![held.clone(), places]));
        let pooled = max_pool(window, ceil_mode, false).reference(&[Some(&random.floats(&shape))]).expect("it pools");
        cases.push(Case::new(format!("window_sum/{name}_maxima"), op, vec![held, pooled[1].clone()]));
    }
    cases
}

pub fn cases() -> Vec<Case> {
    [pools(), sums_of_windows()].into_iter().flatten().collect()
}

fn pools() -> Vec<Case> {
    let two = || window(&[2, 2], &[2, 2], &[], &[]);
    let three = || window(&[3, 3], &[2, 2], &[], &[1; 4]);
    let dilated = || window(&[3, 2], &[1, 2], &[2, 3], &[1, 0, 2, 1]);
    let same = |auto_pad| SlidingWindow { auto_pad, ..window(&[3, 2], &[2, 2], &[], &[]) };
    let bytes = Random::new(1).integers(DType::I8, &[1, 2, 5, 5], -128, 128);
    // `pow` on a GPU is the exponential of a logarithm: some units in the last place for each.
    let powers = Tolerance { relative: 1e-3, absolute: 1e-4 };
    vec![
        row("max", max_pool(two(), false, false), &[2, 3, 8, 10]),
        row("max_odd", max_pool(three(), false, false), &[1, 5, 7, 9]),
        row("max_fours", max_pool(window(&[3, 3], &[1, 1], &[], &[1; 4]), false, false), &[1, 3, 9, 20]),
        row("average_fours", average_pool(window(&[2, 3], &[2, 2], &[], &[0, 3, 1, 2]), false, false), &[2, 3, 11, 16]),
        row("max_ceil", max_pool(three(), true, false), &[1, 5, 8, 9]),
        row("max_ceil_last_on_padding", max_pool(window(&[1, 1], &[2, 2], &[], &[]), true, false), &[1, 1, 2, 2]),
        row("max_dilated", max_pool(dilated(), false, false), &[1, 2, 9, 11]),
        row("max_indices", max_pool(three(), false, false), &[2, 3, 7, 8]).outputs(2),
        row("max_indices_column_major", max_pool(three(), false, true), &[2, 3, 7, 8]).outputs(2),
        row("max_indices_1d", max_pool(window(&[3], &[2], &[], &[]), false, false), &[2, 3, 17]).outputs(2),
        row("max_indices_3d", max_pool(window(&[2, 3, 2], &[1, 2, 2], &[], &[]), false, true), &[1, 2, 5, 6, 7]).outputs(2),
        row("max_same_upper", max_pool(same(AutoPad::SameUpper), false, false), &[1, 2, 6, 7]),
        row("max_same_lower", max_pool(same(AutoPad::SameLower), false, false), &[1, 2, 6, 7]),
        Case::new("pool/max_i8", max_pool(two(), false, false), vec![bytes]),
        row("max_no_batch", max_pool(two(), false, false), &[0, 3, 8, 10]),
        row("average", average_pool(two(), false, false), &[2, 3, 8, 10]),
        row("average_padded", average_pool(three(), false, false), &[1, 4, 7, 9]),
        row("average_count_include_pad", average_pool(three(), false, true), &[1, 4, 7, 9]),
        row("average_ceil", average_pool(window(&[3, 3], &[2, 2], &[], &[]), true, false), &[1, 4, 6, 8]),
        row("average_ceil_count_include_pad", average_pool(three(), true, true), &[1, 4, 8, 8]),
        row("average_dilated", average_pool(dilated(), true, true), &[1, 2, 9, 11]),
        row("average_same_upper", average_pool(same(AutoPad::SameUpper), false, false), &[1, 2, 6, 7]),
        row("average_1d", average_pool(window(&[4], &[3], &[], &[1, 2]), false, false), &[2, 3, 19]),
        row("average_3d", average_pool(window(&[2, 2, 3], &[], &[], &[]), false, false), &[1, 2, 4, 5, 6]),
        row("average_4d", average_pool(window(&[2, 1, 2, 2], &[], &[], &[]), false, false), &[1, 2, 3, 2, 3, 4]),
        row("lp_1", lp_pool(two(), false, 1), &[1, 3, 6, 7]).tolerance(powers),
        row("lp_2", lp_pool(three(), false, 2), &[1, 3, 6, 7]).tolerance(powers),
        row("lp_3", lp_pool(dilated(), true, 3), &[1, 3, 9, 9]).tolerance(powers),
        row("global_max", global_max_pool(), &[2, 3, 7, 9]),
        row("global_average", global_average_pool(), &[2, 5, 7, 7]),
        row("global_average_1d", global_average_pool(), &[2, 5, 33]),
        row("global_lp_1", global_lp_pool(1), &[2, 3, 5, 6]).tolerance(powers),
        row("global_lp_2", global_lp_pool(2), &[2, 3, 5, 6]).tolerance(powers),
        row("global_lp_3", global_lp_pool(3), &[2, 3, 5, 6]).tolerance(powers),
    ]
}
