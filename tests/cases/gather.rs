//! Elements picked by index or rank: Gather and its kin, OneHot, TopK, Compress, NonZero, Unique.

use super::{Case, Random};
use gristmill::internals::ops::gather::{gather, gather_elements, gather_nd};
use gristmill::internals::ops::one_hot::one_hot;
use gristmill::internals::ops::select::{compress, non_zero, unique};
use gristmill::internals::ops::top_k::top_k;
use gristmill::{DType, Tensor};

pub fn cases() -> Vec<Case> {
    [gathers(), one_hots(), top_ks(), selections()].into_iter().flatten().collect()
}

/// The three forms of Gather.
fn gathers() -> Vec<Case> {
    let mut random = Random::new(0x6A74);
    [along_an_axis(&mut random), by_elements(&mut random)].into_iter().flatten().collect()
}

fn along_an_axis(random: &mut Random) -> Vec<Case> {
    let mut cases = vec![];
    let rows: &[(&str, &[usize], &[usize], i64)] = &[
        ("embedding", &[11, 16], &[2, 5], 0),
        ("embedding_odd", &[11, 7], &[3], 0),
        ("columns", &[4, 9], &[6], 1),
        ("middle", &[3, 5, 8], &[2, 2], -2),
        ("by_scalar", &[5, 3], &[], 0),
        ("by_nothing", &[5, 3], &[0], 0),
        ("of_nothing", &[5, 0], &[2], 0),
        ("one_of_one", &[1], &[1], 0),
        ("rank_8", &[2, 1, 2, 3, 1, 2, 1, 2], &[2], 3),
    ];
    for (name, data, indices, axis) in rows {
        let extent = data[axis.rem_euclid(data.len() as i64) as usize] as i64;
        for dtype in [DType::I64, DType::I32] {
            let inputs = vec![random.floats(data), random.integers(dtype, indices, -extent, extent)];
            cases.push(Case::new(format!("gather/{name}_by_{dtype}"), gather(*axis), inputs));
        }
    }
    let integers = vec![random.integers(DType::I64, &[7], -5, 5), Tensor::vector(&[3i64, -1])];
    cases.push(Case::new("gather/i64", gather(0), integers));

    // Known indices in equal steps are a slice.
    for (name, indices) in [
        ("one", Tensor::scalar(-1i64)),
        ("in_steps", Tensor::vector(&[1i64, 3, 5])),
        ("backwards", Tensor::vector(&[4i64, 3, 2])),
        ("same", Tensor::vector(&[2i64, 2])),
        ("matrix", Tensor::new([2, 2], &[0i64, 1, 2, 3]).expect("four values")),
        ("uneven", Tensor::vector(&[0i64, 1, 3])),
    ] {
        for axis in 0..2 {
            let inputs = vec![random.floats(&[6, 6, 4]), indices.clone()];
            cases.push(Case::new(format!("gather/known_{name}_axis_{axis}"), gather(axis), inputs).weights(&[1]));
        }
    }
    cases
}

/// GatherElements and GatherND.
fn by_elements(random: &mut Random) -> Vec<Case> {
    let mut cases = vec![];
    let rows: &[(&str, &[usize], &[usize], i64)] = &[
        ("matrix", &[4, 5], &[3, 5], 0),
        ("fewer_columns", &[4, 5], &[7, 2], 0),
        ("last_axis", &[2, 3, 6], &[2, 3, 4], -1),
        ("vector", &[9], &[12], 0),
        ("nothing", &[4, 5], &[0, 5], 0),
        ("rank_8", &[2, 1, 2, 3, 1, 2, 1, 2], &[2, 1, 2, 5, 1, 2, 1, 2], 3),
    ];
    for (name, data, indices, axis) in rows {
        let extent = data[axis.rem_euclid(data.len() as i64) as usize] as i64;
        let inputs = vec![random.floats(data), random.integers(DType::I64, indices, -extent, extent)];
        cases.push(Case::new(format!("gather_elements/{name}"), gather_elements(*axis), inputs));
    }

    let rows: &[(&str, &[usize], &[usize], i64)] = &[
        ("elements", &[3, 3], &[5, 2], 0),
        ("rows", &[3, 8], &[2, 2, 1], 0),
        ("rows_odd", &[3, 7], &[4, 1], 0),
        ("batch", &[2, 3, 4], &[2, 5, 1], 1),
        ("two_batches", &[2, 3, 3, 3], &[2, 3, 2], 2),
        ("nothing", &[3, 3], &[0, 2], 0),
    ];
    for (name, data, indices, batch) in rows {
        // Every indexed axis has an extent of 3.
        let inputs = vec![random.floats(data), random.integers(DType::I64, indices, -3, 3)];
        cases.push(Case::new(format!("gather_nd/{name}"), gather_nd(*batch), inputs));
    }
    cases
}

fn one_hots() -> Vec<Case> {
    let mut random = Random::new(0x04E7);
    let mut cases = vec![];
    for (name, dtype, axis, shape) in [
        ("last_axis", DType::I64, -1, vec![3, 4]),
        ("first_axis", DType::I32, 0, vec![5]),
        ("middle_axis", DType::I64, 1, vec![2, 3]),
        ("float_indices", DType::F32, -1, vec![4]),
        ("unsigned_indices", DType::U8, -1, vec![4]),
        ("of_scalar", DType::I64, 0, vec![]),
        ("empty", DType::I64, -1, vec![0]),
    ] {
        let low = if dtype == DType::U8 { 0 } else { -9 };
        let inputs = vec![random.integers(dtype, &shape, low, 9), Tensor::scalar(7i64), Tensor::vector(&[-1.0f32, 3.0])];
        cases.push(Case::new(format!("one_hot/{name}"), one_hot(axis), inputs).weights(&[1]));
    }
    let inputs = vec![Tensor::vector(&[0i64, -1, 9]), Tensor::scalar(3.0f32), Tensor::vector(&[0i64, 1])];
    let golden = Tensor::new([3, 3], &[1i64, 0, 0, 0, 0, 1, 0, 0, 0]).expect("nine values");
    cases.push(Case::new("one_hot/golden", one_hot(-1), inputs).weights(&[1]).golden(vec![golden]));
    cases
}

fn top_ks() -> Vec<Case> {
    let mut random = Random::new(0x709C);
    let mut cases = vec![];
    let rows: &[(&str, &[usize], i64, i64)] = &[
        ("last_axis", &[3, 50], -1, 5),
        ("all", &[2, 13], -1, 13),
        ("first_axis", &[70, 3], 0, 4),
        ("middle_axis", &[2, 9, 5], 1, 2),
        ("one", &[1000], 0, 1),
        ("none", &[4], 0, 0),
        ("long_row", &[1, 20000], 1, 20),
        ("too_long_for_the_kernel", &[1, 20000], 1, 300),
    ];
    for (name, shape, axis, k) in rows {
        for (side, largest) in [("largest", true), ("smallest", false)] {
            let inputs = vec![random.floats(shape), Tensor::vector(&[*k])];
            cases.push(Case::new(format!("top_k/{side}_{name}"), top_k(*axis, largest), inputs).weights(&[1]).outputs(2));
        }
    }
    for dtype in [DType::I64, DType::U8, DType::I32] {
        let low = if dtype == DType::U8 { 0 } else { -4 };
        let inputs = vec![random.integers(dtype, &[3, 40], low, 4), Tensor::vector(&[9i64])];
        cases.push(Case::new(format!("top_k/equals_{dtype}"), top_k(-1, true), inputs).weights(&[1]).outputs(2));
    }
    let special = Tensor::vector(&[1.0f32, f32::NAN, -0.0, 0.0, f32::INFINITY, f32::NEG_INFINITY, -1.0, f32::NAN]);
    for (side, largest) in [("largest", true), ("smallest", false)] {
        let inputs = vec![special.clone(), Tensor::vector(&[8i64])];
        cases.push(Case::new(format!("top_k/{side}_special"), top_k(0, largest), inputs).weights(&[1]).outputs(2));
    }
    cases
}

fn selections() -> Vec<Case> {
    let mut random = Random::new(0x5E1C);
    let flags = |values: &[bool]| Tensor::vector(values);
    let bits = random.integers(DType::Bool, &[3, 4, 5], 0, 2);
    let repeated = random.integers(DType::I64, &[6, 2], 0, 2);
    vec![
        Case::new("compress/rows", compress(Some(0)), vec![random.floats(&[3, 4]), flags(&[true, false, true])]),
        Case::new("compress/columns", compress(Some(-1)), vec![random.floats(&[3, 4]), flags(&[false, true, true])]),
        Case::new("compress/flat", compress(None), vec![random.floats(&[3, 4]), flags(&[false, true, false, false, true])]),
        Case::new("compress/nothing", compress(Some(0)), vec![random.floats(&[3, 4]), flags(&[])]),
        Case::new("non_zero/rank_3", non_zero(), vec![bits]),
        Case::new("non_zero/floats", non_zero(), vec![Tensor::vector(&[0.0f32, -0.0, 1.0, f32::NAN])]),
        Case::new("non_zero/scalar", non_zero(), vec![Tensor::scalar(1.0f32)]),
        Case::new("non_zero/nothing", non_zero(), vec![Tensor::vector(&[0i64, 0])]),
        Case::new("unique/flat", unique(None, true), vec![repeated.clone()]).outputs(4),
        Case::new("unique/rows", unique(Some(0), true), vec![repeated.clone()]).outputs(4),
        Case::new("unique/in_order", unique(Some(0), false), vec![repeated]).outputs(4),
        Case::new("unique/nothing", unique(None, true), vec![random.floats(&[0])]).outputs(4),
    ]
}
