//! Operators that only move data: Transpose, Reshape and its kin, Slice, Split, Expand, Tile, Concat, Pad, Trilu,
//! ReverseSequence, and views as operators.

use super::{Case, Random};
use gristmill::internals::graph::{Fact, Op};
use gristmill::internals::ops::concat::concat;
use gristmill::internals::ops::expand::{expand, tile};
use gristmill::internals::ops::pad::{PadMode, pad};
use gristmill::internals::ops::reshape::{flatten, identity, reshape, squeeze, unsqueeze};
use gristmill::internals::ops::reverse_sequence::reverse_sequence;
use gristmill::internals::ops::slice::{slice, split};
use gristmill::internals::ops::transpose::{BlockOrder, depth_to_space, move_axis, space_to_depth, transpose};
use gristmill::internals::ops::triangle::trilu;
use gristmill::internals::ops::view::strided_view;
use gristmill::internals::tensor::View;
use gristmill::{DType, Tensor};
use std::sync::Arc;

/// A row whose further inputs are constants of the graph.
fn shaped(name: String, op: Arc<dyn Op>, data: Tensor, constants: &[&[i64]]) -> Case {
    let weights: Vec<usize> = (1..=constants.len()).collect();
    Case::new(name, op, std::iter::once(data).chain(constants.iter().map(|c| Tensor::vector(c))).collect()).weights(&weights)
}

pub fn cases() -> Vec<Case> {
    [transposes(), reshapes(), slices(), splits(), repeats(), concats(), pads(), others()].into_iter().flatten().collect()
}

fn transposes() -> Vec<Case> {
    let mut random = Random::new(0x7A05);
    let rows: &[(&str, &[usize], &[i64])] = &[
        ("matrix", &[3, 5], &[1, 0]),
        ("matrix_in_fours", &[40, 12], &[1, 0]),
        ("matrix_in_tiles", &[64, 96], &[1, 0]),
        ("matrix_past_tiles", &[65, 97], &[1, 0]),
        ("long_matrix", &[2, 1000], &[1, 0]),
        ("heads", &[2, 7, 4, 16], &[0, 2, 1, 3]),
        ("heads_odd", &[2, 7, 3, 5], &[0, 2, 1, 3]),
        ("keys", &[2, 9, 4, 8], &[0, 2, 3, 1]),
        ("channels_last", &[2, 3, 33, 35], &[0, 2, 3, 1]),
        ("channels_first", &[2, 33, 35, 3], &[0, 3, 1, 2]),
        ("reversed", &[2, 3, 4, 5], &[3, 2, 1, 0]),
        ("same", &[2, 3, 4], &[0, 1, 2]),
        ("ones_only", &[1, 3, 1, 4], &[2, 1, 0, 3]),
        ("one_element", &[1, 1, 1], &[2, 0, 1]),
        ("rank_8", &[2, 1, 3, 2, 2, 3, 2, 2], &[7, 2, 5, 0, 3, 6, 1, 4]),
        ("rank_6", &[3, 2, 2, 4, 2, 4], &[1, 4, 2, 0, 5, 3]),
        ("empty", &[0, 3], &[1, 0]),
    ];
    let mut cases: Vec<Case> = rows
        .iter()
        .map(|(name, shape, axes)| {
            Case::new(format!("transpose/{name}"), transpose(Some(axes.to_vec())), vec![random.floats(shape)])
        })
        .collect();
    for (name, from, to, permutation) in [("move_axis/front", 2, 0, [2, 0, 1]), ("move_axis/back", 0, -1, [1, 2, 0])] {
        let data = random.floats(&[2, 3, 4]);
        let golden = transpose(Some(permutation.to_vec())).reference(&[Some(&data)]).expect("a permutation");
        cases.push(Case::new(name, move_axis(from, to), vec![data]).golden(golden));
    }
    cases.push(Case::new("transpose/default", transpose(None), vec![random.floats(&[4, 5, 6])]));
    cases.push(Case::new("transpose/scalar", transpose(None), vec![random.floats(&[])]));
    for dtype in [DType::I64, DType::Bool, DType::U8, DType::F16, DType::F64] {
        let data = random.integers(dtype, &[5, 6, 4], 0, 2);
        cases.push(Case::new(format!("transpose/{dtype}"), transpose(Some(vec![2, 0, 1])), vec![data]));
    }
    let golden = Tensor::new([3, 2], &[1.0f32, 4.0, 2.0, 5.0, 3.0, 6.0]).expect("six values");
    let data = Tensor::new([2, 3], &[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0]).expect("six values");
    cases.push(Case::new("transpose/golden", transpose(None), vec![data]).golden(vec![golden]));
    for (name, order) in [("dcr", BlockOrder::DepthFirst), ("crd", BlockOrder::ColumnFirst)] {
        for (size, block, shape) in [("odd", 3, [2, 18, 3, 5]), ("even", 2, [1, 8, 6, 4]), ("one", 1, [1, 3, 2, 2])] {
            let data = random.floats(&shape);
            cases.push(Case::new(format!("depth_to_space/{name}_{size}"), depth_to_space(block, order), vec![data]));
        }
        for (size, block, shape) in [("odd", 3, [2, 2, 9, 15]), ("even", 2, [1, 3, 6, 8])] {
            let data = random.floats(&shape);
            cases.push(Case::new(format!("space_to_depth/{name}_{size}"), space_to_depth(block, order), vec![data]));
        }
    }
    cases
}

fn reshapes() -> Vec<Case> {
    let mut random = Random::new(0x2E5A);
    let mut cases = vec![
        shaped("reshape/open".into(), reshape(false), random.floats(&[2, 3, 4]), &[&[0, -1]]),
        shaped("reshape/zero_extent".into(), reshape(true), random.floats(&[0, 4]), &[&[3, 0, 2]]),
        shaped("reshape/to_scalar".into(), reshape(false), random.floats(&[1, 1]), &[&[]]),
        shaped("reshape/i64".into(), reshape(false), random.integers(DType::I64, &[6], -9, 9), &[&[2, 3]]),
        shaped("squeeze/some".into(), squeeze(), random.floats(&[1, 3, 1, 2]), &[&[-2]]),
        shaped("unsqueeze/some".into(), unsqueeze(), random.floats(&[3, 2]), &[&[0, -1]]),
        Case::new("squeeze/all", squeeze(), vec![random.floats(&[1, 3, 1, 2])]),
        Case::new("identity/matrix", identity(), vec![random.floats(&[3, 2])]),
        Case::new("identity/empty", identity(), vec![random.floats(&[0])]),
    ];
    for axis in [0, 2, 3, -1] {
        cases.push(Case::new(format!("flatten/axis_{axis}"), flatten(axis), vec![random.floats(&[2, 3, 4])]));
    }
    cases
}

/// Starts, ends, axes and steps.
type Ranges<'a> = [&'a [i64]; 4];

fn slices() -> Vec<Case> {
    let mut random = Random::new(0x511C);
    let rows: &[(&str, &[usize], Ranges)] = &[
        ("rows", &[10, 8], [&[2], &[7], &[0], &[1]]),
        ("columns", &[10, 9], [&[1], &[6], &[1], &[1]]),
        ("columns_in_fours", &[5, 24], [&[8], &[20], &[1], &[1]]),
        ("columns_off_fours", &[5, 24], [&[3], &[19], &[1], &[1]]),
        ("backwards", &[4, 10], [&[-1], &[i64::MIN], &[-1], &[-1]]),
        ("backwards_by_three", &[20, 3], [&[18], &[1], &[0], &[-3]]),
        ("two_axes", &[6, 7, 8], [&[1, -5], &[5, i64::MAX], &[0, 2], &[2, 1]]),
        ("every_other", &[3, 17], [&[0], &[17], &[1], &[2]]),
        ("nothing", &[4, 4], [&[3], &[1], &[1], &[1]]),
        ("everything", &[4, 4], [&[0], &[100], &[0], &[1]]),
        ("huge_step", &[5], [&[0], &[5], &[0], &[i64::MAX]]),
        ("empty", &[0, 4], [&[0], &[2], &[1], &[1]]),
    ];
    let mut cases: Vec<Case> = rows
        .iter()
        .map(|(name, shape, arguments)| shaped(format!("slice/{name}"), slice(), random.floats(shape), arguments))
        .collect();
    // A start before the first element is moved to it (the ONNX specification of Slice-13); numpy finds nothing there.
    let data = Tensor::new([3, 2], &[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0]).expect("six values");
    for (name, start, end, step, golden) in [("one", -3, -3, -2, vec![1.0f32, 3.0, 5.0]), ("none", -3, 0, -1, vec![])] {
        let golden = Tensor::new([3, golden.len() / 3], &golden).expect("a column or none");
        let case = shaped(format!("slice/backwards_from_before_{name}"), slice(), data.clone(), &[&[start], &[end], &[1], &[step]]);
        cases.push(case.golden(vec![golden]));
    }
    cases.push(shaped("slice/default_axes".into(), slice(), random.floats(&[5, 6]), &[&[1, 2], &[4, -1]]));
    cases.push(shaped("slice/i64".into(), slice(), random.integers(DType::I64, &[5, 6], -99, 99), &[&[1, 2], &[4, -1]]));
    let view = View { shape: [3, 4].into(), strides: vec![0, -2], offset: 9 };
    cases.push(Case::new("view/broadcast_backwards", strided_view(view), vec![random.floats(&[10])]));
    cases
}

fn splits() -> Vec<Case> {
    let mut random = Random::new(0x5971);
    vec![
        Case::new("split/equal", split(1, 3), vec![random.floats(&[4, 12])]).outputs(3),
        Case::new("split/uneven", split(0, 4), vec![random.floats(&[7, 3])]).outputs(4),
        Case::new("split/more_than_there_are", split(-1, 4), vec![random.floats(&[2, 2])]).outputs(4),
        Case::new("split/one", split(0, 1), vec![random.floats(&[5])]).outputs(1),
        shaped("split/sizes".into(), split(-1, 3), random.floats(&[3, 20]), &[&[4, 0, 16]]).outputs(3),
        shaped("split/odd_sizes".into(), split(1, 2), random.floats(&[2, 5, 3]), &[&[2, 3]]).outputs(2),
    ]
}

fn repeats() -> Vec<Case> {
    let mut random = Random::new(0xE8A4);
    let mut cases = vec![];
    let rows: &[(&str, &[usize], &[i64])] = &[
        ("rows", &[1, 6], &[5, 6]),
        ("columns", &[5, 1], &[5, 7]),
        ("columns_in_fours", &[3, 1], &[3, 16]),
        ("both_ways", &[4, 1], &[2, 1, 3]),
        ("from_scalar", &[], &[2, 3]),
        ("to_nothing", &[1, 3], &[0, 3]),
        ("same", &[2, 3], &[1]),
        ("rank_8", &[2, 1, 2, 1, 2, 1, 2, 1], &[2, 3, 2, 3, 2, 3, 2, 3]),
    ];
    for (name, shape, wanted) in rows {
        cases.push(shaped(format!("expand/{name}"), expand(), random.floats(shape), &[wanted]));
    }
    let rows: &[(&str, &[usize], &[i64])] = &[
        ("matrix", &[3, 5], &[2, 3]),
        ("matrix_in_fours", &[3, 8], &[3, 2]),
        ("rows_only", &[4, 3], &[3, 1]),
        ("once", &[4, 3], &[1, 1]),
        ("never", &[4, 3], &[0, 2]),
        ("rank_4", &[2, 3, 2, 5], &[2, 1, 3, 2]),
        ("rank_5_all", &[2, 3, 2, 2, 3], &[2, 2, 2, 2, 2]),
        ("scalar", &[], &[]),
    ];
    for (name, shape, wanted) in rows {
        cases.push(shaped(format!("tile/{name}"), tile(), random.floats(shape), &[wanted]));
    }
    cases
}

fn concats() -> Vec<Case> {
    let mut random = Random::new(0xC04C);
    let rows: &[(&str, i64, &[&[usize]])] = &[
        ("rows", 0, &[&[2, 3], &[1, 3], &[4, 3]]),
        ("columns", 1, &[&[3, 2], &[3, 5]]),
        ("columns_in_fours", -1, &[&[3, 8], &[3, 4], &[3, 12]]),
        ("channels", 1, &[&[2, 3, 5, 4], &[2, 1, 5, 4]]),
        ("with_nothing", 1, &[&[3, 2], &[3, 0], &[3, 1]]),
        ("with_nothing_else", 0, &[&[0, 2], &[3, 2]]),
        ("one", 0, &[&[3, 2]]),
        ("nothing", 1, &[&[0, 2], &[0, 3]]),
        ("four", 0, &[&[1], &[2], &[3], &[4]]),
        ("nine", 1, &[&[2, 1], &[2, 2], &[2, 3], &[2, 4], &[2, 5], &[2, 6], &[2, 7], &[2, 8], &[2, 9]]),
        ("rank_8", 3, &[&[1, 2, 1, 2, 1, 2, 1, 2], &[1, 2, 1, 3, 1, 2, 1, 2]]),
    ];
    let mut cases: Vec<Case> = rows
        .iter()
        .map(|(name, axis, shapes)| {
            Case::new(format!("concat/{name}"), concat(*axis), shapes.iter().map(|s| random.floats(s)).collect())
        })
        .collect();
    // The second of three inputs (and the only one) is read through a transpose.
    let view = View::contiguous(&[5, 8].into()).transpose(&[1, 0]);
    let seen = |inputs: Vec<Tensor>, index: usize| {
        let fact = Fact::new(DType::F32, inputs[index].shape().clone());
        (concat(1).absorb(index, &view, &fact).expect("Concat reads through any view"), inputs)
    };
    let (op, inputs) = seen(vec![random.floats(&[8, 2]), random.floats(&[5, 8]), random.floats(&[8, 4])], 1);
    cases.push(Case::new("concat/through_a_view", op, inputs));
    let (op, inputs) = seen(vec![random.floats(&[5, 8])], 0);
    cases.push(Case::new("concat/one_through_a_view", op, inputs));
    for dtype in [DType::I64, DType::Bool, DType::F64] {
        let inputs = (0..2).map(|_| random.integers(dtype, &[3, 2], 0, 2)).collect();
        cases.push(Case::new(format!("concat/{dtype}"), concat(0), inputs));
    }
    cases
}

fn pads() -> Vec<Case> {
    let mut random = Random::new(0x9AD5);
    let mut cases = vec![];
    let modes = [("constant", PadMode::Constant), ("reflect", PadMode::Reflect), ("edge", PadMode::Edge), ("wrap", PadMode::Wrap)];
    let rows: &[(&str, &[usize], &[i64])] = &[
        ("image", &[2, 3, 5, 7], &[0, 0, 1, 2, 0, 0, 3, 1]),
        ("further_than_data", &[3, 2], &[5, 3, 4, 7]),
        ("one_element", &[1], &[2, 1]),
        ("cropped", &[6, 7], &[-1, 0, -2, -3]),
        ("cropped_and_padded", &[6, 7], &[-1, 2, 3, -2]),
        ("nothing_added", &[3, 4], &[0, 0, 0, 0]),
        ("empty", &[0, 4], &[0, 1, 0, 1]),
        ("rank_8", &[2, 1, 2, 1, 2, 1, 2, 2], &[1, 0, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 1, 0, 0, 1]),
    ];
    for (mode_name, mode) in modes {
        for (name, shape, amounts) in rows {
            cases.push(shaped(format!("pad/{mode_name}_{name}"), pad(mode), random.floats(shape), &[amounts]));
        }
    }
    let amounts = Tensor::vector(&[1i64, 2]);
    let data = random.floats(&[3, 4]);
    let fill = Tensor::scalar(2.5f32);
    let axes = Tensor::vector(&[-1i64]);
    let inputs = vec![data, amounts.clone(), fill, axes];
    cases.push(Case::new("pad/constant_given", pad(PadMode::Constant), inputs.clone()).weights(&[1, 2, 3]));
    cases.push(Case::new("pad/constant_of_the_run", pad(PadMode::Constant), inputs).weights(&[1, 3]));
    let integers = vec![random.integers(DType::I64, &[4], -9, 9), amounts, Tensor::scalar(-7i64)];
    cases.push(Case::new("pad/i64", pad(PadMode::Constant), integers).weights(&[1, 2]));
    cases.push(shaped("pad/constant_into_nothing".into(), pad(PadMode::Constant), random.floats(&[0, 2]), &[&[1, 1, 1, 0]]));
    cases
}

fn others() -> Vec<Case> {
    let mut random = Random::new(0x0748);
    let mut cases = vec![];
    for (name, shape, diagonal) in [
        ("square", vec![5, 5], 0),
        ("wide", vec![2, 3, 7], 2),
        ("tall", vec![7, 3], -2),
        ("beyond", vec![3, 3], i64::MAX),
        ("before", vec![3, 3], i64::MIN),
        ("empty", vec![0, 3], 1),
    ] {
        for (side, upper) in [("upper", true), ("lower", false)] {
            let inputs = vec![random.floats(&shape), Tensor::scalar(diagonal)];
            cases.push(Case::new(format!("trilu/{side}_{name}"), trilu(upper), inputs).weights(&[1]));
        }
    }
    cases.push(Case::new("trilu/no_diagonal_i64", trilu(true), vec![random.integers(DType::I64, &[4, 4], 1, 9)]));
    for (name, time, shape, lengths) in [
        ("time_first", 0, vec![4, 3], vec![4i64, 0, 3]),
        ("batch_first", 1, vec![3, 4, 8], vec![1, 2, 4]),
        ("odd_rows", 0, vec![5, 2, 3], vec![5, 2]),
        ("empty", 0, vec![0, 2], vec![0, 0]),
    ] {
        let inputs = vec![random.floats(&shape), Tensor::vector(&lengths)];
        cases.push(Case::new(format!("reverse_sequence/{name}"), reverse_sequence(time, 1 - time), inputs));
    }
    cases
}
