//! Reductions over sets of axes, ArgMax and ArgMin.

use super::{Case, Random};
use gristmill::internals::ops::argreduce::{arg_max, arg_min};
use gristmill::internals::ops::reduce::{Reduction, reduce};
use gristmill::{DType, Tensor};

const ALL: [Reduction; 10] = [
    Reduction::Sum,
    Reduction::Mean,
    Reduction::Max,
    Reduction::Min,
    Reduction::Prod,
    Reduction::L1,
    Reduction::L2,
    Reduction::LogSum,
    Reduction::LogSumExp,
    Reduction::SumSquare,
];

/// Name, shape, axes.
type Row = (&'static str, &'static [usize], &'static [i64]);

/// Sets that are rows, columns, both, everything, single values and nothing; few and large, many and small.
const ROWS: &[Row] = &[
    ("scalar", &[], &[]),
    ("last_odd", &[3, 5, 37], &[-1]),
    ("last_fours", &[5, 64], &[1]),
    ("last_short", &[200, 3], &[1]),
    ("first", &[33, 70], &[0]),
    ("middle", &[3, 20, 35], &[1]),
    ("outer_and_inner", &[4, 6, 8], &[0, 2]),
    ("spatial", &[2, 5, 7, 9], &[2, 3]),
    ("every_other_axis", &[2, 3, 2, 3, 2, 3, 2, 3], &[0, 2, 4, 6]),
    ("all_but_every_other", &[2, 3, 2, 3, 2, 3, 2, 4], &[1, 3, 5, 7]),
    ("axis_of_one", &[4, 1, 6], &[1]),
    ("empty_sets", &[3, 0, 2], &[1]),
    ("no_sets", &[0, 4], &[1]),
];

pub fn cases() -> Vec<Case> {
    let mut random = Random::new(0x2ED0);
    let mut cases = vec![];
    for reduction in ALL {
        let name = reduction.operator();
        // Sums of which a logarithm is taken must stay positive.
        let data = |random: &mut Random, shape: &[usize]| {
            let floats = random.floats(shape).to_f64();
            let positive = reduction == Reduction::LogSum;
            let values: Vec<f32> = floats.iter().map(|x| if positive { x.abs() + 0.1 } else { *x } as f32).collect();
            Tensor::new(shape, &values).expect("as many elements")
        };
        for (k, (row, shape, axes)) in ROWS.iter().enumerate() {
            let op = reduce(reduction, Some(axes.to_vec()), k % 2 == 0, false);
            cases.push(Case::new(format!("{name}/{row}"), op, vec![data(&mut random, shape)]));
        }
        if reduction != Reduction::Prod {
            for (row, shape, axes) in [
                ("all_of_many", &[70, 9001][..], &[][..]),
                ("few_long", &[3, 100_003], &[1]),
                ("few_long_columns", &[90_000, 3], &[0]),
                ("columns_in_blocks", &[1500, 70], &[0]),
                ("blocks_of_two_axes", &[6, 9, 40, 5], &[0, 2]),
            ] {
                let op = reduce(reduction, Some(axes.to_vec()), true, false);
                let case = Case::new(format!("{name}/{row}"), op, vec![data(&mut random, shape)]);
                // Sums of many values of both signs cancel; the error is relative to the magnitudes summed.
                cases.push(case.tolerance(super::Tolerance { relative: 1e-4, absolute: 1e-2 }));
            }
        }
        let op = reduce(reduction, None, true, true);
        cases.push(Case::new(format!("{name}/noop"), op, vec![data(&mut random, &[3, 4])]));
    }
    cases.extend(special(&mut random));
    cases.extend(integers(&mut random));
    cases.extend(arguments(&mut random));
    cases
}

/// Infinities and NaN.
fn special(random: &mut Random) -> Vec<Case> {
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    let sets =
        [[inf, 1.0, 2.0, 3.0], [-inf, 1.0, 2.0, -3.0], [nan, 1.0, inf, 2.0], [1.0, 2.0, nan, -inf], [-inf, -inf, -inf, -inf]];
    let sets: Vec<f32> = sets.concat();
    let mut cases = vec![];
    for reduction in [Reduction::Sum, Reduction::Max, Reduction::Min, Reduction::LogSumExp] {
        let op = reduce(reduction, Some(vec![1]), false, false);
        let tensor = Tensor::new([5, 4], &sets).expect("twenty values");
        cases.push(Case::new(format!("{}/special", reduction.operator()), op, vec![tensor]));
    }
    let axes = Tensor::vector(&[-1i64, 0]);
    let op = reduce(Reduction::Sum, None, false, false);
    cases.push(Case::new("ReduceSum/axes_input", op, vec![random.floats(&[3, 4, 5]), axes]).weights(&[1]));
    cases
}

fn integers(random: &mut Random) -> Vec<Case> {
    let mut cases = vec![];
    for dtype in [DType::I32, DType::U32, DType::I64, DType::U8, DType::Bool] {
        let high = if dtype == DType::Bool { 2 } else { 10 };
        let low = if matches!(dtype, DType::I32 | DType::I64) { -9 } else { 0 };
        for reduction in [Reduction::Sum, Reduction::Max, Reduction::Min, Reduction::Mean, Reduction::L1, Reduction::SumSquare] {
            let comparing = matches!(reduction, Reduction::Max | Reduction::Min);
            if !comparing && matches!(dtype, DType::Bool | DType::U8) {
                continue;
            }
            for (row, shape, axes) in [("rows", &[5, 33][..], &[1]), ("fours", &[6, 64], &[1]), ("columns", &[17, 80], &[0])] {
                let op = reduce(reduction, Some(axes.to_vec()), true, false);
                let input = random.integers(dtype, shape, low, high);
                cases.push(Case::new(format!("{}/{row}_{dtype}", reduction.operator()), op, vec![input]));
            }
        }
    }
    let op = reduce(Reduction::Prod, Some(vec![1]), true, false);
    cases.push(Case::new("ReduceProd/rows_i32", op, vec![random.integers(DType::I32, &[6, 5], -3, 4)]));
    cases
}

fn arguments(random: &mut Random) -> Vec<Case> {
    let mut cases = vec![];
    let shapes: &[(&str, &[usize], i64)] = &[
        ("vector", &[9], 0),
        ("last", &[5, 37], -1),
        ("last_short", &[130, 5], -1),
        ("first", &[20, 300], 0),
        ("middle", &[3, 50, 7], 1),
        ("one", &[4, 1], 1),
        ("long", &[2, 70001], 1),
        ("nothing", &[0, 4], 1),
    ];
    for (name, shape, axis) in shapes {
        for last in [false, true] {
            // Few distinct values, so that there are ties.
            let ties = random.integers(DType::I32, shape, -4, 5);
            let floats: Vec<f32> = ties.to_f64().iter().map(|x| *x as f32).collect();
            let floats = Tensor::new(*shape, &floats).expect("as many elements");
            cases.push(Case::new(format!("ArgMax/{name}_{last}"), arg_max(*axis, last, last), vec![floats.clone()]));
            cases.push(Case::new(format!("ArgMin/{name}_{last}"), arg_min(*axis, !last, last), vec![floats]));
            cases.push(Case::new(format!("ArgMin/{name}_i32_{last}"), arg_min(*axis, true, last), vec![ties]));
        }
    }
    let nan =
        Tensor::new([2, 4], &[1.0, f32::NAN, 3.0, f32::NAN, f32::NEG_INFINITY, 2.0, f32::INFINITY, 0.0]).expect("eight values");
    cases.push(Case::new("ArgMax/nan", arg_max(1, true, false), vec![nan.clone()]));
    cases.push(Case::new("ArgMax/nan_last", arg_max(1, true, true), vec![nan.clone()]));
    cases.push(Case::new("ArgMin/nan", arg_min(1, true, false), vec![nan]));
    cases
}
