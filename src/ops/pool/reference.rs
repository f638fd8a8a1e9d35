//! Pooling on the host: naive loops, sums in f64.

use super::{PoolShape, Pooling};
use crate::ops::conv::WindowAxis;
use crate::tensor::View;

/// The index of each element of a box, row-major.
fn indices(extents: &[usize]) -> Vec<Vec<usize>> {
    extents.iter().fold(vec![vec![]], |all, &n| {
        all.iter().flat_map(|index| (0..n).map(|i| index.iter().copied().chain([i]).collect())).collect()
    })
}

/// Values, and for MaxPool the position of each in the whole input.
pub(super) fn pool(pool: &PoolShape, x: &[f64]) -> (Vec<f64>, Vec<i128>) {
    let extents = |pick: fn(&WindowAxis) -> usize| pool.axes.iter().map(pick).collect::<Vec<_>>();
    let (inputs, outputs, kernel) = (extents(|a| a.input), extents(|a| a.output), extents(|a| a.kernel));
    let area: usize = inputs.iter().product();
    let strides = View::contiguous(&inputs.clone().into()).strides;
    // Steps of the reported positions.
    let mut order = strides.clone();
    if let Pooling::Max { column_major: true } = pool.pooling {
        let mut step = 1;
        for (order, extent) in order.iter_mut().zip(&inputs) {
            *order = step;
            step *= *extent as i64;
        }
    }
    let (places, taps) = (indices(&outputs), indices(&kernel));
    let (mut values, mut positions) = (Vec::new(), Vec::new());
    for plane in 0..pool.planes {
        let data = &x[plane * area..][..area];
        for place in &places {
            let (mut best, mut best_at, mut sum, mut inside, mut padded) = (f64::NEG_INFINITY, 0, 0.0, 0usize, 0usize);
            for tap in &taps {
                let at: Vec<i64> = pool
                    .axes
                    .iter()
                    .zip(place.iter().zip(tap))
                    .map(|(a, (o, k))| (o * a.stride + k * a.dilation) as i64 - a.begin)
                    .collect();
                padded += usize::from(pool.axes.iter().zip(&at).all(|(a, p)| *p < a.input as i64 + a.end));
                if !pool.axes.iter().zip(&at).all(|(a, p)| (0..a.input as i64).contains(p)) {
                    continue;
                }
                let value = data[at.iter().zip(&strides).map(|(p, s)| p * s).sum::<i64>() as usize];
                inside += 1;
                match pool.pooling {
                    Pooling::Max { .. } if value > best || inside == 1 => {
                        best = value;
                        best_at = at.iter().zip(&order).map(|(p, s)| p * s).sum();
                    }
                    Pooling::Max { .. } => {}
                    Pooling::Average { .. } => sum += value,
                    Pooling::Lp { p } => sum += value.abs().powi(p.min(i32::MAX.into()) as i32),
                }
            }
            values.push(match pool.pooling {
                Pooling::Max { .. } => best,
                Pooling::Average { count_include_pad } => sum / if count_include_pad { padded } else { inside }.max(1) as f64,
                Pooling::Lp { p } => sum.powf(1.0 / p as f64),
            });
            positions.push((plane * area) as i128 + i128::from(best_at));
        }
    }
    (values, positions)
}
