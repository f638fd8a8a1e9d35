//! Elements replaced or combined by index, and running sums and products.

use super::{Case, Random};
use gristmill::internals::ops::check_write_indices::check_write_indices;
use gristmill::internals::ops::cumulative::{cum_prod, cum_sum};
use gristmill::internals::ops::scatter::{Combine, scatter_elements, scatter_nd};
use gristmill::internals::ops::tensor_scatter::tensor_scatter;
use gristmill::{DType, Tensor};

const REDUCTIONS: [(&str, Combine); 4] =
    [("add", Combine::Add), ("mul", Combine::Mul), ("max", Combine::Max), ("min", Combine::Min)];

pub fn cases() -> Vec<Case> {
    [scatter_elements_cases(), scatter_nd_cases(), tensor_scatter_cases(), running()].into_iter().flatten().collect()
}

fn scatter_elements_cases() -> Vec<Case> {
    let mut random = Random::new(0x5CA7);
    let mut cases = vec![];
    // Indices are distinct along the axis: without a reduction, what two updates of one element leave is not defined.
    let indices = Tensor::new([3, 2], &[0i64, -1, 3, 2, -3, 1]).expect("six values");
    let inputs = vec![random.floats(&[5, 4]), indices.clone(), random.floats(&[3, 2])];
    cases.push(Case::new("scatter_elements/replace", scatter_elements(0, None), inputs));
    let inputs = vec![random.integers(DType::I64, &[3, 4], -9, 9), indices, random.integers(DType::I64, &[3, 2], -9, 9)];
    cases.push(Case::new("scatter_elements/replace_i64", scatter_elements(-1, None), inputs));
    let nothing = vec![random.floats(&[3, 4]), Tensor::new([0, 4], &[] as &[i64]).expect("no values"), random.floats(&[0, 4])];
    cases.push(Case::new("scatter_elements/nothing", scatter_elements(0, None), nothing.clone()));
    cases.push(Case::new("scatter_elements/add_nothing", scatter_elements(0, Some(Combine::Add)), nothing));
    let rows: &[(&str, &[usize], &[usize], i64)] = &[
        ("matrix", &[4, 5], &[7, 5], 0),
        ("fewer_columns", &[4, 5], &[3, 2], 0),
        ("last_axis", &[2, 3, 4], &[2, 2, 9], -1),
        ("vector", &[9], &[30], 0),
        ("rank_8", &[2, 1, 2, 3, 1, 2, 1, 2], &[2, 1, 1, 5, 1, 2, 1, 2], 3),
    ];
    for (name, data, shape, axis) in rows {
        let extent = data[axis.rem_euclid(data.len() as i64) as usize] as i64;
        for (reduction, combine) in REDUCTIONS {
            let inputs = vec![random.floats(data), random.integers(DType::I64, shape, -extent, extent), random.floats(shape)];
            cases.push(Case::new(format!("scatter_elements/{reduction}_{name}"), scatter_elements(*axis, Some(combine)), inputs));
        }
    }
    for dtype in [DType::I32, DType::U32, DType::I64, DType::U8] {
        for (reduction, combine) in REDUCTIONS {
            let low = if matches!(dtype, DType::U32 | DType::U8) { 0 } else { -5 };
            let inputs = vec![
                random.integers(dtype, &[6], low, 5),
                random.integers(DType::I64, &[12], -6, 6),
                random.integers(dtype, &[12], low, 5),
            ];
            cases.push(Case::new(format!("scatter_elements/{reduction}_{dtype}"), scatter_elements(0, Some(combine)), inputs));
        }
    }
    let updates = 70_000;
    let inputs =
        vec![random.floats(&[3]), random.integers(DType::I64, &[updates], 0, 3), random.integers(DType::F32, &[updates], 0, 2)];
    cases.push(Case::new("scatter_elements/add_more_than_a_loop", scatter_elements(0, Some(Combine::Add)), inputs));
    cases
}

fn scatter_nd_cases() -> Vec<Case> {
    let mut random = Random::new(0x5C4D);
    let mut cases = vec![];
    let indices = Tensor::new([3, 1], &[2i64, -1, 0]).expect("three values");
    for (name, inner) in [("fours", 8), ("odd", 5)] {
        let inputs = vec![random.floats(&[4, inner]), indices.clone(), random.floats(&[3, inner])];
        cases.push(Case::new(format!("scatter_nd/replace_rows_{name}"), scatter_nd(None), inputs));
    }
    let pairs = Tensor::new([2, 2, 2], &[0i64, 1, -1, 0, 1, 1, 1, -1]).expect("eight values");
    let inputs = vec![random.floats(&[3, 4]), pairs.clone(), random.floats(&[2, 2])];
    cases.push(Case::new("scatter_nd/replace_elements", scatter_nd(None), inputs));
    let nothing = vec![random.floats(&[3, 4]), Tensor::new([0, 1], &[] as &[i64]).expect("no values"), random.floats(&[0, 4])];
    cases.push(Case::new("scatter_nd/nothing", scatter_nd(None), nothing.clone()));
    cases.push(Case::new("scatter_nd/add_nothing", scatter_nd(Some(Combine::Add)), nothing));
    for (reduction, combine) in REDUCTIONS {
        let inputs = vec![random.floats(&[4, 6]), random.integers(DType::I64, &[9, 1], -4, 4), random.floats(&[9, 6])];
        cases.push(Case::new(format!("scatter_nd/{reduction}_rows"), scatter_nd(Some(combine)), inputs));
        let inputs = vec![random.floats(&[3, 3]), random.integers(DType::I64, &[5, 3, 2], -3, 3), random.floats(&[5, 3])];
        cases.push(Case::new(format!("scatter_nd/{reduction}_elements"), scatter_nd(Some(combine)), inputs));
        let inputs = vec![
            random.integers(DType::I32, &[5, 2], -5, 5),
            random.integers(DType::I64, &[7, 1], -5, 5),
            random.integers(DType::I32, &[7, 2], -5, 5),
        ];
        cases.push(Case::new(format!("scatter_nd/{reduction}_i32"), scatter_nd(Some(combine)), inputs));
    }
    let updates = 70_000;
    let inputs =
        vec![random.floats(&[3]), random.integers(DType::I64, &[updates, 1], 0, 3), random.integers(DType::F32, &[updates], 0, 2)];
    cases.push(Case::new("scatter_nd/add_more_than_a_loop", scatter_nd(Some(Combine::Add)), inputs));
    let inputs = vec![random.floats(&[600, 3]), random.integers(DType::I64, &[700, 1], -300, 300), random.floats(&[700, 3])];
    cases.push(Case::new("scatter_nd/add_to_many", scatter_nd(Some(Combine::Add)), inputs));
    let inputs = vec![random.floats(&[9, 3]), random.integers(DType::I64, &[70, 1], -9, 9), random.floats(&[70, 3])];
    cases.push(Case::new("scatter_nd/add_more_updates_than_elements", scatter_nd(Some(Combine::Add)), inputs));
    let inputs = vec![random.floats(&[50, 8]), random.integers(DType::I64, &[90, 1], 7, 9), random.floats(&[90, 8])];
    cases.push(Case::new("scatter_nd/add_long_chains", scatter_nd(Some(Combine::Add)), inputs));
    let inputs = vec![random.floats(&[20, 20]), random.integers(DType::I64, &[300, 2], -20, 20), random.floats(&[300])];
    cases.push(Case::new("scatter_nd/max_of_many", scatter_nd(Some(Combine::Max)), inputs));
    cases
}

fn tensor_scatter_cases() -> Vec<Case> {
    let mut random = Random::new(0x7E55);
    let mut cases = vec![];
    // Cache, update, axis, write indices.
    type Row<'a> = (&'a str, &'a [usize], &'a [usize], i64, &'a [i64]);
    let rows: &[Row] = &[
        ("fours", &[2, 3, 9, 8], &[2, 3, 1, 8], -2, &[8, 0]),
        ("odd", &[3, 2, 7, 5], &[3, 2, 3, 5], 2, &[4, 0, 1]),
        ("rank_3", &[2, 6, 4], &[2, 2, 4], 1, &[0, 4]),
        ("last_axis", &[2, 3, 6], &[2, 3, 2], -1, &[3, 1]),
        ("whole", &[1, 4, 3], &[1, 4, 3], -2, &[0]),
        ("one_axis_more", &[2, 2, 5, 2, 3], &[2, 2, 2, 2, 3], 2, &[2, 3]),
        ("no_rows", &[2, 4, 3], &[2, 0, 3], -2, &[4, 0]),
        ("no_capacity", &[2, 0, 3], &[2, 0, 3], -2, &[0, 0]),
    ];
    for (name, cache, update, axis, indices) in rows {
        let inputs = vec![random.floats(cache), random.floats(update), Tensor::vector(indices)];
        cases.push(Case::new(format!("tensor_scatter/{name}"), tensor_scatter(*axis, false), inputs.clone()));
        let first = inputs[..2].to_vec();
        cases.push(Case::new(format!("tensor_scatter/{name}_from_the_first"), tensor_scatter(*axis, false), first));
        cases.push(Case::new(format!("tensor_scatter/{name}_circular"), tensor_scatter(*axis, true), inputs));
    }
    let wrapped = vec![random.floats(&[4, 2, 5, 4]), random.floats(&[4, 2, 3, 4]), Tensor::vector(&[3i64, -1, 9_000_003, -7])];
    cases.push(Case::new("tensor_scatter/wraps", tensor_scatter(-2, true), wrapped));
    for dtype in [DType::I64, DType::U8, DType::F16] {
        let inputs =
            vec![random.integers(dtype, &[2, 5, 3], 0, 9), random.integers(dtype, &[2, 2, 3], 0, 9), Tensor::vector(&[1i32, 3])];
        cases.push(Case::new(format!("tensor_scatter/{dtype}"), tensor_scatter(1, false), inputs));
    }
    cases.push(circular_by_hand());
    let check = check_write_indices(9, 3);
    let indices = Tensor::vector(&[6i64, 0, 5]);
    cases.push(Case::new("check_write_indices/all_fit", check, vec![indices]).golden(vec![Tensor::scalar(true)]));
    cases
}

/// The example of the ONNX specification that its suite's archive lacks.
fn circular_by_hand() -> Case {
    let rows = |shape: &[usize], firsts: &[f32]| {
        let data: Vec<f32> = firsts.iter().flat_map(|x| [*x; 2]).collect();
        Tensor::new(shape, &data).expect("as many elements")
    };
    let inputs = vec![
        rows(&[2, 1, 4, 2], &[1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 3.0, 4.0]),
        rows(&[2, 1, 2, 2], &[5.0, 6.0, 7.0, 8.0]),
        Tensor::vector(&[1i64, 3]),
    ];
    let golden = rows(&[2, 1, 4, 2], &[1.0, 5.0, 6.0, 4.0, 8.0, 2.0, 3.0, 7.0]);
    Case::new("tensor_scatter/circular_by_hand", tensor_scatter(-2, true), inputs).golden(vec![golden])
}

fn running() -> Vec<Case> {
    let mut random = Random::new(0xC5E1);
    let mut cases = vec![];
    let rows: &[(&str, &[usize], i64)] = &[
        ("vector", &[37], 0),
        ("last_axis", &[70, 9], -1),
        ("first_axis", &[9, 7], 0),
        ("middle_axis", &[2, 5, 3], 1),
        ("one", &[3, 1], 1),
        ("nothing", &[3, 0], 0),
        ("along_nothing", &[3, 0], 1),
    ];
    for (name, shape, axis) in rows {
        for (form, exclusive, reverse) in [("plain", false, false), ("exclusive_reverse", true, true)] {
            let mut inputs = vec![random.floats(shape), Tensor::scalar(*axis)];
            cases.push(Case::new(format!("cum_sum/{form}_{name}"), cum_sum(exclusive, reverse), inputs.clone()).weights(&[1]));
            inputs[1] = Tensor::scalar(*axis as i32);
            cases.push(Case::new(format!("cum_prod/{form}_{name}"), cum_prod(exclusive, reverse), inputs).weights(&[1]));
        }
    }
    let inputs = vec![random.integers(DType::I64, &[5, 6], -9, 9), Tensor::scalar(1i64)];
    cases.push(Case::new("cum_sum/i64", cum_sum(false, true), inputs).weights(&[1]));
    let inputs = vec![random.integers(DType::I32, &[5, 6], -3, 3), Tensor::scalar(1i64)];
    cases.push(Case::new("cum_prod/i32", cum_prod(true, false), inputs).weights(&[1]));
    cases
}
