//! Operators on images and boxes other than Resize. The numbers themselves are held against the ONNX suite.

use super::{Case, Random};
use gristmill::Tensor;
use gristmill::internals::ops::affine_grid::affine_grid;
use gristmill::internals::ops::center_crop_pad::center_crop_pad;
use gristmill::internals::ops::grid_sample::{GridSample, Outside, grid_sample};
use gristmill::internals::ops::non_max_suppression::non_max_suppression;
use gristmill::internals::ops::resample::{Interpolation, Rounding};
use gristmill::internals::ops::roi_align::{RoiAlign, roi_align, roi_align_gradient};

/// Maps of planes and volumes, an axis of one pixel, and an image without any.
fn affine_grids() -> Vec<Case> {
    let mut random = Random::new(0xAF1E);
    let mut cases = vec![];
    for (corners, align_corners) in [("corners", true), ("borders", false)] {
        let rows: [(&str, &[usize], &[i64]); 4] = [
            ("plane", &[2, 2, 3], &[2, 5, 6, 7]),
            ("volume", &[3, 3, 4], &[3, 1, 4, 5, 2]),
            ("one_pixel", &[1, 2, 3], &[1, 1, 1, 1]),
            ("nothing", &[2, 2, 3], &[2, 1, 0, 4]),
        ];
        for (name, maps, size) in rows {
            let inputs = vec![random.floats(maps), Tensor::vector(size)];
            cases.push(Case::new(format!("affine_grid/{name}_{corners}"), affine_grid(align_corners), inputs).weights(&[1]));
        }
    }
    cases
}

pub fn cases() -> Vec<Case> {
    let mut random = Random::new(0x13A6);
    let mut cases = affine_grids();
    let modes = [
        ("nearest", Interpolation::Nearest(Rounding::PreferFloor)),
        ("linear", Interpolation::Linear),
        ("cubic", Interpolation::Cubic(-0.75)),
    ];
    let margins = [("zeros", Outside::Zeros), ("border", Outside::Border), ("reflection", Outside::Reflection)];
    for (mode, interpolation) in modes {
        for (margin, outside) in margins {
            for (corners, align_corners) in [("corners", true), ("borders", false)] {
                let op = GridSample { interpolation, outside, align_corners };
                // Points reach out of the image on all sides, and never lie where rounding decides between two pixels.
                let grid: Vec<f32> = (0..2 * 5 * 3 * 2).map(|k| 2.31 * ((k as f32 * 0.7371).sin())).collect();
                let grid = Tensor::new([2, 5, 3, 2], &grid).expect("sixty values");
                let inputs = vec![random.floats(&[2, 3, 6, 7]), grid];
                cases.push(Case::new(format!("grid_sample/{mode}_{margin}_{corners}"), grid_sample(op), inputs));
            }
        }
    }
    let op = GridSample { interpolation: Interpolation::Linear, outside: Outside::Zeros, align_corners: false };
    let volume = vec![random.floats(&[1, 2, 3, 4, 5]), random.floats(&[1, 2, 2, 2, 3])];
    cases.push(Case::new("grid_sample/volume_on_the_host", grid_sample(op.clone()), volume));
    let pixel = vec![random.floats(&[1, 1, 1, 1]), random.floats(&[1, 4, 4, 2])];
    cases.push(Case::new("grid_sample/one_pixel", grid_sample(op.clone()), pixel));
    let nothing = vec![random.floats(&[1, 2, 3, 3]), random.floats(&[1, 0, 4, 2])];
    cases.push(Case::new("grid_sample/nothing", grid_sample(op), nothing));

    let crop = |name: &str, axes: Option<Vec<i64>>, data: Tensor, wanted: &[i64]| {
        Case::new(format!("center_crop_pad/{name}"), center_crop_pad(axes), vec![data, Tensor::vector(wanted)]).weights(&[1])
    };
    cases.push(crop("both", None, random.floats(&[7, 4]), &[4, 9]));
    cases.push(crop("one_axis", Some(vec![-1]), random.floats(&[2, 5]), &[2]));

    for (name, maximum, half_pixel, sampling_ratio) in [("mean", false, true, 2), ("largest", true, false, 0)] {
        let op = RoiAlign { maximum, half_pixel, output: [2, 3], sampling_ratio, spatial_scale: 0.5 };
        let regions = Tensor::new([2, 4], &[1.0f32, 2.0, 9.0, 11.0, -1.0, 0.5, 30.0, 7.0]).expect("eight values");
        let inputs = vec![random.floats(&[2, 3, 6, 7]), regions, Tensor::vector(&[1i64, 0])];
        let worth = random.floats(&[2, 3, 2, 3]);
        let backward = [&[worth], inputs.as_slice()].concat();
        cases.push(Case::new(format!("roi_align/{name}"), roi_align(op.clone()), inputs));
        cases.push(Case::new(format!("roi_align/{name}_gradient"), roi_align_gradient(op), backward));
    }

    let boxes = Tensor::new([1, 4, 4], &[0.0f32, 0.0, 1.0, 1.0, 0.0, 0.1, 1.0, 1.1, 0.0, 5.0, 1.0, 6.0, 1.0, 6.1, 0.0, 5.1])
        .expect("sixteen values");
    let scores = Tensor::new([1, 1, 4], &[0.9f32, 0.8, 0.5, 0.7]).expect("four values");
    let inputs = vec![boxes, scores, Tensor::vector(&[3i64]), Tensor::vector(&[0.5f32]), Tensor::vector(&[0.0f32])];
    let kept = Tensor::new([2, 3], &[0i64, 0, 0, 0, 0, 3]).expect("six values");
    cases.push(Case::new("non_max_suppression/overlap", non_max_suppression(false), inputs).golden(vec![kept]));
    cases
}
