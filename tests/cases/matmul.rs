//! Rows of the matrix product.

use super::{Case, Random, Tolerance};
use gristmill::internals::graph::Op;
use gristmill::internals::ops::det::det;
use gristmill::internals::ops::matmul::{MatMul, matmul, matmul_integer, matmul_nbits};
use gristmill::internals::tensor::View;
use gristmill::{DType, Shape, Tensor};
use std::sync::Arc;

/// Rounding of a sum of k products in f32 grows with k, while the sum itself may be near zero.
pub fn sums(k: usize) -> Tolerance {
    Tolerance { relative: 1e-4, absolute: 1e-5 + 2e-7 * k as f64 }
}

fn product(name: &str, a: &[usize], b: &[usize]) -> Case {
    let mut random = Random::new(name.len() as u64 + a.iter().chain(b).sum::<usize>() as u64);
    let k = a.last().copied().unwrap_or(1);
    Case::new(format!("matmul/{name}"), matmul(), vec![random.floats(a), random.floats(b)]).tolerance(sums(k))
}

fn viewed(name: &str, a: (&[usize], View), b: (&[usize], View)) -> Case {
    let mut random = Random::new(name.len() as u64);
    let k = a.1.shape.last().copied().unwrap_or(1);
    let op: Arc<dyn Op> = Arc::new(MatMul { a: Some(a.1), b: Some(b.1) });
    Case::new(format!("matmul/{name}"), op, vec![random.floats(a.0), random.floats(b.0)]).tolerance(sums(k))
}

fn whole(shape: &[usize]) -> View {
    View::contiguous(&Shape::from(shape))
}

fn transposed(shape: [usize; 2]) -> View {
    whole(&shape).transpose(&[1, 0])
}

fn shapes() -> Vec<Case> {
    let square = [1usize, 3, 5, 17, 63, 64, 65, 128];
    let mut cases: Vec<Case> = square.iter().map(|&n| product(&format!("square_{n}"), &[n, n], &[n, n])).collect();
    for (m, k, n) in [
        (1, 4096, 33),
        (1, 7, 1),
        (2, 65, 130),
        (4, 128, 96),
        (7, 36, 5),
        (8, 64, 64),
        (9, 260, 132),
        (16, 33, 31),
        (33, 12, 20),
        (64, 1, 64),
        (100, 3, 1),
        (3, 1000, 3),
        (2, 70_000, 4),
    ] {
        cases.push(product(&format!("m{m}_k{k}_n{n}"), &[m, k], &[k, n]));
        cases.push(product(&format!("weights_m{m}_k{k}_n{n}"), &[m, k], &[k, n]).weights(&[1]));
    }
    for (m, k, n) in [(3, 40, 9), (33, 12, 20), (70, 37, 65), (8, 200, 33)] {
        cases.push(product(&format!("constant_a_m{m}_k{k}_n{n}"), &[m, k], &[k, n]).weights(&[0]));
    }
    cases
}

fn batches() -> Vec<Case> {
    vec![
        product("batch_of_one_weight", &[3, 5, 8], &[8, 12]),
        product("batch", &[4, 9, 20], &[4, 20, 12]),
        product("batch_of_tall_matrices", &[2, 70, 37], &[2, 37, 70]),
        product("batch_of_few_rows", &[3, 3, 37], &[3, 37, 70]),
        product("batch_broadcast_left", &[6, 7], &[3, 7, 10]),
        product("batch_broadcast_both", &[2, 1, 5, 6], &[1, 3, 6, 4]),
        product("batch_rank_5", &[2, 1, 3, 4, 5], &[1, 2, 3, 5, 6]),
        product("batch_rank_8", &[2, 1, 2, 1, 2, 1, 3, 4], &[1, 2, 1, 2, 1, 2, 4, 3]),
        product("vector_vector", &[37], &[37]),
        product("vector_matrix", &[12], &[3, 12, 8]),
        product("matrix_vector", &[3, 8, 12], &[12]),
        product("batch_of_rows", &[5, 1, 16], &[16, 8]),
        product("no_rows", &[0, 4], &[4, 5]),
        product("no_columns", &[3, 4], &[4, 0]),
        product("no_terms", &[3, 0], &[0, 5]),
        product("no_batch", &[0, 2, 3], &[0, 3, 4]),
    ]
}

fn views() -> Vec<Case> {
    let heads = whole(&[2, 10, 4, 8]).transpose(&[0, 2, 1, 3]);
    vec![
        viewed("a_transposed", (&[24, 33], transposed([24, 33])), (&[24, 20], whole(&[24, 20]))),
        viewed("a_transposed_fours", (&[24, 36], transposed([24, 36])), (&[24, 20], whole(&[24, 20]))),
        viewed("b_transposed", (&[33, 24], whole(&[33, 24])), (&[20, 24], transposed([20, 24]))),
        viewed("b_transposed_weights", (&[5, 24], whole(&[5, 24])), (&[20, 24], transposed([20, 24]))).weights(&[1]),
        viewed("both_transposed_odd", (&[7, 65], transposed([7, 65])), (&[66, 7], transposed([66, 7]))),
        viewed("row_b_transposed", (&[1, 100], whole(&[1, 100])), (&[30, 100], transposed([30, 100]))),
        viewed("split_heads", (&[2, 10, 4, 8], heads.clone()), (&[2, 10, 4, 8], heads.transpose(&[0, 1, 3, 2]))),
        viewed(
            "slice_reversed",
            (&[9, 16], whole(&[9, 16]).slice(0, 8, 5, -2)),
            (&[16, 12], whole(&[16, 12]).slice(1, 11, 12, -1)),
        ),
        viewed("slice_unaligned", (&[9, 17], whole(&[9, 17]).slice(1, 1, 16, 1)), (&[16, 13], whole(&[16, 13]).slice(1, 1, 12, 1))),
        viewed("a_repeated", (&[1, 16], whole(&[1, 16]).slice(0, 0, 1, 1)), (&[16, 64], whole(&[16, 64]))),
    ]
}

fn scalars() -> Vec<Case> {
    let mut random = Random::new(3);
    let mut integers = |dtype, low, high| {
        let inputs = vec![random.integers(dtype, &[5, 7], low, high), random.integers(dtype, &[7, 6], low, high)];
        Case::new(format!("matmul/{dtype}"), matmul(), inputs)
    };
    let cases = vec![integers(DType::I32, -1000, 1000), integers(DType::U32, 0, 1000), integers(DType::I64, -100, 100)];
    let golden = Tensor::new([2, 2], &[19.0f32, 22.0, 43.0, 50.0]).expect("four elements");
    let small = [[1.0f32, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]].map(|v| Tensor::new([2, 2], &v).expect("four elements"));
    cases.into_iter().chain([Case::new("matmul/golden", matmul(), small.to_vec()).golden(vec![golden])]).collect()
}

/// Zero points of every form.
fn zero_points() -> Vec<Case> {
    let mut random = Random::new(0x1A7);
    let rows: &[(&str, [&[usize]; 4])] = &[
        ("scalars", [&[3, 20], &[20, 5], &[], &[]]),
        ("single", [&[3, 20], &[20, 5], &[1], &[1]]),
        ("rows_and_columns", [&[3, 20], &[20, 5], &[3], &[5]]),
        ("rows_of_a_batch", [&[2, 3, 8], &[8, 4], &[3], &[4]]),
        ("whole_rank", [&[2, 3, 8], &[2, 8, 4], &[2, 3, 1], &[2, 1, 4]]),
        ("vectors", [&[20], &[20], &[], &[1]]),
    ];
    let case = |(name, [a, b, a_zero, b_zero]): &(&str, [&[usize]; 4])| {
        let mut unsigned = |shape: &[usize]| random.integers(DType::U8, shape, 0, 256);
        let (a, a_zero) = (unsigned(a), unsigned(a_zero));
        let mut signed = |shape: &[usize]| random.integers(DType::I8, shape, -128, 128);
        let (b, b_zero) = (signed(b), signed(b_zero));
        Case::new(format!("matmul/integer_{name}"), matmul_integer(), vec![a, b, a_zero, b_zero])
    };
    rows.iter().map(case).collect()
}

/// Values that half floats hold, some of them subnormal.
fn halves(random: &mut Random, shape: &[usize]) -> Tensor {
    let count: usize = shape.iter().product();
    let mut value = || {
        let eleven_bits = (random.next() % 2048) as f32 - 1024.0;
        eleven_bits * [1.0 / 1024.0, 1.0 / 8192.0, 1.0 / (1 << 24) as f32][random.next() as usize % 3]
    };
    Tensor::new(shape, &(0..count).map(|_| value()).collect::<Vec<f32>>()).expect("as many elements as the shape has")
}

fn half_weights() -> Vec<Case> {
    let row = |(m, k, n): (usize, usize, usize)| {
        let mut random = Random::new((m + k + n) as u64);
        let inputs = vec![random.floats(&[m, k]), halves(&mut random, &[k, n])];
        Case::new(format!("matmul/half_weights_m{m}_k{k}_n{n}"), matmul(), inputs).weights(&[1]).tolerance(sums(k))
    };
    [(1, 64, 33), (2, 1024, 65), (3, 35, 7), (5, 1, 4), (20, 530, 12), (70, 36, 68), (130, 70, 130)].map(row).into_iter().collect()
}

/// Long sums over few outputs, which are split; tiles whose last step is not whole.
fn splits() -> Vec<Case> {
    vec![
        product("split_one_tile", &[20, 1030], &[1030, 24]),
        product("split_tiles", &[40, 1537], &[1537, 70]).weights(&[1]),
        product("split_rows", &[3, 2050], &[2050, 66]),
        product("split_batch", &[3, 17, 515], &[3, 515, 5]),
        product("tall", &[190, 52], &[52, 50]),
        product("steps_and_rest", &[129, 44], &[44, 65]),
    ]
}

/// Quantized weights: rows, k, n, bits, block, zero points.
fn quantized() -> Vec<Case> {
    let row = |(m, k, n, bits, block, zero_points): (usize, usize, usize, u32, usize, bool)| {
        let mut random = Random::new((m + k + n + block) as u64 + u64::from(bits));
        let blocks = k.div_ceil(block);
        let bytes = random.integers(DType::U8, &[n, blocks, block * bits as usize / 8], 0, 256);
        let mut inputs = vec![random.floats(&[m, k]), bytes, random.floats(&[n * blocks])];
        if zero_points {
            inputs.push(random.integers(DType::U8, &[n * (blocks * bits as usize).div_ceil(8)], 0, 256));
        }
        let name = format!("matmul/bits{bits}_m{m}_k{k}_n{n}_block{block}{}", if zero_points { "_zero_points" } else { "" });
        let op = matmul_nbits(k, n, bits, block).expect("the extents are valid");
        let weights: Vec<usize> = (1..inputs.len()).collect();
        let exact = sums(k);
        // Weights are up to 2^(bits - 1) large, and so is the rounding of their sums.
        let tolerance = Tolerance { absolute: exact.absolute * f64::from(1u32 << bits), ..exact };
        Case::new(name, op, inputs).weights(&weights).tolerance(tolerance)
    };
    [
        (1, 64, 33, 4, 32, false),
        (1, 1056, 130, 4, 32, true),
        (2, 50, 3, 4, 16, true),
        (5, 72, 68, 4, 64, false),
        (12, 1030, 36, 4, 128, true),
        (66, 100, 70, 4, 16, true),
        (150, 48, 132, 4, 32, false),
        (1, 64, 33, 8, 32, true),
        (3, 37, 5, 8, 40, false),
        (9, 1025, 20, 8, 1028, true),
        (130, 68, 66, 8, 16, false),
        (1, 1100, 40, 4, 12, true),
        (2, 260, 100, 4, 4, false),
        (4, 37, 33, 4, 24, true),
        (3, 200, 64, 4, 128, false),
        (1, 2050, 33, 8, 20, true),
        (2, 1024, 64, 8, 64, false),
        (6, 520, 36, 8, 8, true),
        (40, 90, 36, 4, 20, true),
    ]
    .map(row)
    .into_iter()
    .collect()
}

fn determinants() -> Vec<Case> {
    let mut random = Random::new(0xDE7);
    let shapes: [(&str, &[usize]); 8] = [
        ("one", &[1, 1]),
        ("pair", &[3, 2, 2]),
        ("odd", &[2, 2, 5, 5]),
        ("eight", &[8, 8]),
        ("past_a_workgroup", &[2, 67, 67]),
        ("many", &[70, 3, 3]),
        ("of_nothing", &[2, 0, 0]),
        ("no_matrix", &[0, 3, 3]),
    ];
    // A sum of products of as many factors as there are rows; elimination rounds each of them.
    let rounding = |rows: usize| Tolerance { relative: 1e-4 * rows.max(1) as f64, absolute: 1e-6 };
    let row = |(name, shape): (&str, &[usize])| {
        Case::new(format!("det/{name}"), det(), vec![random.floats(shape)]).tolerance(rounding(shape[shape.len() - 1]))
    };
    let mut cases: Vec<Case> = shapes.into_iter().map(row).collect();
    // By hand: an exchange of rows, one that is a sum of others, and the circulant of 1, 2, 3, whose determinant is 18.
    let by_hand = [[0.0f32, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0], [1.0, 2.0, 3.0, 2.0, 4.0, 6.0, 1.0, 0.0, 1.0]];
    let circulant = [1.0f32, 2.0, 3.0, 3.0, 1.0, 2.0, 2.0, 3.0, 1.0];
    let matrices = [&by_hand[0][..], &by_hand[1], &circulant].concat();
    let matrices = Tensor::new([3, 3, 3], &matrices).expect("three matrices");
    let golden = Tensor::new([3], &[-1.0f32, 0.0, 18.0]).expect("three determinants");
    cases.push(Case::new("det/by_hand", det(), vec![matrices]).golden(vec![golden]));
    cases.push(Case::new("det/f64", det(), vec![random.integers(DType::F64, &[3, 3], -4, 4)]));
    cases
}

pub fn cases() -> Vec<Case> {
    [shapes(), batches(), views(), scalars(), half_weights(), splits(), quantized(), zero_points(), determinants()]
        .into_iter()
        .flatten()
        .collect()
}
