//! Rows of the convolutions.

use super::matmul::sums;
use super::{Case, Random};
use gristmill::internals::graph::Op;
use gristmill::internals::ops::conv::{AutoPad, SlidingWindow, conv, conv_transpose};
use gristmill::{DType, Tensor, TensorType};
use std::sync::Arc;

fn window(strides: &[i64], dilations: &[i64], pads: &[i64]) -> SlidingWindow {
    SlidingWindow { strides: strides.to_vec(), dilations: dilations.to_vec(), pads: pads.to_vec(), ..SlidingWindow::default() }
}

fn row(name: &str, op: Arc<dyn Op>, x: &[usize], w: &[usize], bias: Option<usize>) -> Case {
    let mut random = Random::new(name.len() as u64 + x.iter().chain(w).sum::<usize>() as u64);
    let mut inputs = vec![random.floats(x), random.floats(w)];
    inputs.extend(bias.map(|n| random.floats(&[n])));
    let weights: Vec<usize> = (1..inputs.len()).collect();
    Case::new(format!("conv/{name}"), op, inputs).tolerance(sums(w[1..].iter().product())).weights(&weights)
}

/// A square 2-D window with the same stride and padding along both axes.
fn square(name: &str, x: &[usize], w: &[usize], stride: i64, pad: i64, group: i64) -> Case {
    row(name, conv(window(&[stride; 2], &[], &[pad; 4]), group), x, w, Some(w[0]))
}

fn planes() -> Vec<Case> {
    vec![
        square("3x3", &[1, 8, 12, 12], &[16, 8, 3, 3], 1, 1, 1),
        square("3x3_odd", &[2, 5, 13, 11], &[7, 5, 3, 3], 1, 1, 1),
        square("3x3_many_filters", &[1, 6, 9, 30], &[70, 6, 3, 3], 1, 1, 1),
        square("3x3_many_channels_odd", &[2, 19, 9, 9], &[67, 19, 3, 3], 1, 1, 1),
        square("3x3_groups_of_many", &[2, 32, 8, 9], &[24, 16, 3, 3], 1, 1, 2),
        square("3x3_stride_2", &[1, 9, 15, 17], &[33, 9, 3, 3], 2, 1, 1),
        square("3x3_stride_3", &[1, 3, 20, 20], &[4, 3, 3, 3], 3, 0, 1),
        square("7x7_stride_2", &[1, 3, 33, 35], &[10, 3, 7, 7], 2, 3, 1),
        square("11x11_stride_4", &[1, 3, 47, 47], &[6, 3, 11, 11], 4, 2, 1),
        square("5x5_small_plane", &[1, 4, 3, 2], &[6, 4, 5, 5], 1, 2, 1),
        square("1x1", &[2, 20, 7, 9], &[30, 20, 1, 1], 1, 0, 1),
        square("1x1_aligned", &[1, 64, 8, 8], &[64, 64, 1, 1], 1, 0, 1),
        square("1x1_large", &[1, 66, 32, 32], &[70, 66, 1, 1], 1, 0, 1),
        square("1x1_groups", &[2, 12, 5, 4], &[8, 3, 1, 1], 1, 0, 4),
        square("1x1_stride_2", &[1, 16, 14, 14], &[24, 16, 1, 1], 2, 0, 1),
        square("1x1_padded", &[1, 4, 5, 5], &[3, 4, 1, 1], 1, 1, 1),
        square("whole_plane", &[2, 8, 6, 6], &[10, 8, 6, 6], 1, 0, 1),
        square("groups", &[1, 12, 10, 9], &[20, 3, 3, 3], 1, 1, 4),
        square("depthwise_3x3", &[2, 10, 14, 13], &[10, 1, 3, 3], 1, 1, 10),
        square("depthwise_aligned", &[1, 8, 16, 16], &[8, 1, 3, 3], 1, 1, 8),
        square("depthwise_5x5_stride_2", &[1, 6, 15, 16], &[6, 1, 5, 5], 2, 2, 6),
        square("depthwise_rows_of_subgroups", &[1, 3, 9, 100], &[3, 1, 3, 3], 1, 1, 3),
        square("depthwise_rows_of_two_subgroups", &[1, 2, 30, 55], &[2, 1, 3, 3], 1, 1, 2),
        square("depthwise_7x7", &[1, 2, 11, 40], &[2, 1, 7, 7], 1, 3, 2),
        square("depthwise_stride_2", &[1, 3, 20, 72], &[3, 1, 3, 3], 2, 1, 3),
        square("depthwise_stride_3", &[1, 3, 17, 50], &[6, 1, 2, 2], 3, 0, 3),
        square("depthwise_unpadded", &[1, 2, 8, 36], &[2, 1, 5, 5], 1, 0, 2),
        square("one_channel", &[2, 1, 12, 20], &[20, 1, 5, 5], 1, 2, 1),
        square("depthwise_multiplier", &[1, 4, 9, 9], &[12, 1, 3, 3], 1, 1, 4),
        square("many_channels", &[1, 256, 7, 7], &[32, 256, 3, 3], 1, 1, 1),
        square("3x3_whole_tiles", &[1, 64, 16, 16], &[64, 64, 3, 3], 1, 1, 1),
        square("3x3_tiles_of_images", &[3, 12, 10, 27], &[36, 12, 3, 3], 1, 1, 1),
        square("3x3_one_tile", &[1, 9, 3, 4], &[10, 9, 3, 3], 1, 1, 1),
        square("3x3_unpadded", &[2, 16, 19, 22], &[8, 16, 3, 3], 1, 0, 1),
        square("3x3_long_sums", &[1, 512, 5, 6], &[12, 512, 3, 3], 1, 1, 1),
        square("3x3_wide", &[1, 8, 6, 140], &[34, 8, 3, 3], 1, 1, 1),
        square("3x3_few_channels_per_group", &[2, 18, 11, 9], &[20, 9, 3, 3], 1, 1, 2),
        square("no_batch", &[0, 3, 5, 5], &[4, 3, 3, 3], 1, 1, 1),
        square("one_element", &[1, 1, 1, 1], &[1, 1, 1, 1], 1, 0, 1),
    ]
}

fn windows() -> Vec<Case> {
    let same = |auto_pad| SlidingWindow { auto_pad, strides: vec![2, 1], ..SlidingWindow::default() };
    vec![
        row("without_bias", conv(window(&[], &[], &[]), 1), &[1, 3, 8, 8], &[5, 3, 3, 3], None),
        row("dilated", conv(window(&[1, 1], &[2, 3], &[2, 3, 2, 3]), 1), &[1, 4, 12, 15], &[6, 4, 3, 3], Some(6)),
        row("dilated_stride_2", conv(window(&[2, 2], &[2, 2], &[2, 2, 2, 2]), 1), &[1, 4, 13, 14], &[6, 4, 3, 3], None),
        row("depthwise_dilated", conv(window(&[1, 1], &[2, 2], &[2, 2, 2, 2]), 3), &[1, 3, 12, 45], &[3, 1, 3, 3], Some(3)),
        row("depthwise_dilated_far", conv(window(&[1, 1], &[1, 7], &[0, 7, 0, 7]), 3), &[1, 3, 4, 45], &[3, 1, 2, 3], None),
        row("depthwise_asymmetric", conv(window(&[2, 1], &[], &[0, 3, 2, 1]), 2), &[1, 2, 9, 38], &[2, 1, 2, 4], Some(2)),
        row("depthwise_cropped", conv(window(&[], &[], &[-1, -2, 0, 1]), 2), &[1, 2, 9, 38], &[2, 1, 3, 3], None),
        row("dilated_stride_4", conv(window(&[4, 4], &[2, 6], &[1, 3, 0, 2]), 1), &[1, 10, 21, 30], &[12, 10, 3, 2], None),
        row("asymmetric_pads", conv(window(&[1, 2], &[], &[0, 2, 3, 1]), 1), &[1, 3, 7, 9], &[4, 3, 2, 4], Some(4)),
        row("negative_pads", conv(window(&[], &[], &[-1, 0, 0, -2]), 1), &[1, 3, 8, 9], &[4, 3, 3, 3], None),
        row("3x3_asymmetric", conv(window(&[], &[], &[0, 2, 1, 0]), 1), &[2, 9, 14, 13], &[11, 9, 3, 3], Some(11)),
        row("3x3_far_padding", conv(window(&[], &[], &[5, 6, 0, 3]), 1), &[1, 8, 6, 7], &[9, 8, 3, 3], None),
        row("3x3_cropped", conv(window(&[], &[], &[-1, -2, 0, -1]), 2), &[1, 18, 13, 17], &[16, 9, 3, 3], Some(16)),
        row("tall_kernel", conv(window(&[], &[], &[2, 0, 2, 0]), 1), &[1, 3, 9, 6], &[4, 3, 5, 1], None),
        row("wide_kernel", conv(window(&[], &[], &[0, 4, 0, 4]), 1), &[1, 3, 4, 21], &[4, 3, 1, 9], None),
        row("same_upper", conv(same(AutoPad::SameUpper), 1), &[1, 2, 7, 6], &[3, 2, 2, 4], None),
        row("same_lower", conv(same(AutoPad::SameLower), 1), &[1, 2, 7, 6], &[3, 2, 2, 4], None),
        row("valid", conv(same(AutoPad::Valid), 1), &[1, 2, 7, 6], &[3, 2, 2, 4], None),
        row("1d", conv(window(&[2], &[], &[1, 1]), 1), &[2, 6, 31], &[9, 6, 3], Some(9)),
        row("1d_depthwise", conv(window(&[], &[], &[1, 1]), 6), &[2, 6, 31], &[6, 1, 3], Some(6)),
        row("1d_depthwise_long", conv(window(&[], &[], &[15, 16]), 4), &[1, 4, 200], &[4, 1, 32], Some(4)),
        row("3d_depthwise", conv(window(&[], &[], &[1; 6]), 3), &[1, 3, 4, 5, 6], &[3, 1, 3, 3, 3], None),
        row("3d_many_channels", conv(window(&[1, 2, 1], &[1, 1, 2], &[1; 6]), 1), &[2, 9, 4, 6, 7], &[10, 9, 3, 2, 2], Some(10)),
        row("1d_many_channels", conv(window(&[2], &[3], &[2, 1]), 1), &[2, 24, 70], &[40, 24, 3], Some(40)),
        row("3d", conv(window(&[1, 2, 1], &[], &[1; 6]), 1), &[1, 3, 5, 6, 7], &[4, 3, 3, 3, 3], Some(4)),
        row("4d", conv(SlidingWindow::default(), 1), &[1, 2, 3, 3, 3, 3], &[2, 2, 2, 2, 2, 2], None),
    ]
}

fn transposed() -> Vec<Case> {
    let op = |w: SlidingWindow, group, padding: &[i64], shape: &[i64]| conv_transpose(w, group, padding.to_vec(), shape.to_vec());
    let same = |auto_pad| SlidingWindow { auto_pad, strides: vec![2, 2], ..SlidingWindow::default() };
    vec![
        row("transpose", op(SlidingWindow::default(), 1, &[], &[]), &[1, 3, 5, 6], &[3, 4, 3, 3], Some(4)),
        row("transpose_stride_2", op(window(&[2, 2], &[], &[1; 4]), 1, &[1, 1], &[]), &[2, 5, 7, 6], &[5, 4, 3, 3], Some(4)),
        row("transpose_groups", op(window(&[2, 1], &[], &[]), 3, &[], &[]), &[1, 6, 4, 5], &[6, 2, 2, 3], Some(6)),
        row("transpose_dilated", op(window(&[2, 3], &[2, 2], &[1, 0, 0, 2]), 1, &[], &[]), &[1, 2, 4, 5], &[2, 3, 3, 2], None),
        row("transpose_shape", op(window(&[3, 2], &[], &[]), 1, &[], &[10, 8]), &[1, 1, 3, 3], &[1, 2, 3, 3], None),
        row("transpose_same_upper", op(same(AutoPad::SameUpper), 1, &[], &[]), &[1, 2, 3, 3], &[2, 2, 3, 3], None),
        row("transpose_same_lower", op(same(AutoPad::SameLower), 1, &[], &[]), &[1, 2, 3, 3], &[2, 2, 3, 3], None),
        row("transpose_4x4", op(window(&[2, 2], &[], &[1; 4]), 1, &[], &[]), &[2, 12, 7, 9], &[12, 10, 4, 4], Some(10)),
        row("transpose_few_taps", op(window(&[3, 3], &[], &[]), 1, &[], &[]), &[1, 5, 4, 6], &[5, 9, 2, 2], Some(9)),
        row("transpose_groups_of_many", op(window(&[2, 2], &[], &[1; 4]), 2, &[], &[]), &[1, 16, 6, 10], &[16, 5, 3, 3], Some(10)),
        row("transpose_wide", op(window(&[1, 4], &[1, 2], &[]), 1, &[], &[]), &[1, 8, 3, 40], &[8, 70, 2, 5], None),
        row("transpose_1d", op(window(&[4], &[], &[]), 1, &[], &[]), &[2, 3, 9], &[3, 2, 4], None),
        row("transpose_3d", op(window(&[2, 1, 2], &[], &[]), 1, &[], &[]), &[1, 2, 3, 4, 3], &[2, 3, 2, 3, 2], Some(3)),
    ]
}

fn golden() -> Case {
    let tensor = |shape: &[usize], data: &[f32]| Tensor::new(shape, data).expect("as many elements as the shape has");
    let x = tensor(&[1, 1, 3, 3], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
    let y = tensor(&[1, 1, 3, 3], &[8.0, 15.0, 12.0, 21.0, 36.0, 27.0, 20.0, 33.0, 24.0]);
    let op = conv(window(&[], &[], &[1; 4]), 1);
    Case::new("conv/golden", op, vec![x, tensor(&[1, 1, 3, 3], &[1.0; 9])]).golden(vec![y])
}

/// Three times 683, less 1: 2049 is no half float, and the bias meets 2048.
fn half_bias() -> Case {
    let half = |shape: &[usize], value: f64| Tensor::from_f64(TensorType::new(DType::F16, shape), &[value]).expect("one element");
    let inputs = vec![half(&[1, 1, 1, 1], 3.0), half(&[1, 1, 1, 1], 683.0), half(&[1], -1.0)];
    Case::new("conv/half_bias", conv(SlidingWindow::default(), 1), inputs).golden(vec![half(&[1, 1, 1, 1], 2047.0)])
}

pub fn cases() -> Vec<Case> {
    [planes(), windows(), transposed(), vec![golden(), half_bias()]].into_iter().flatten().collect()
}
