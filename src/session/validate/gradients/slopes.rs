//! Slopes of functions by central differences, with steps that are small enough.

use crate::error::Result;

/// The first step; each next one is an eighth.
const FIRST: f64 = 1.0 / 512.0;
const STEPS: i32 = 6;

/// Two estimates agree up to this, in parts of the slope.
const AGREE: f64 = 1e-7;

/// A slope at zero.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slope {
    pub(super) slope: f64,
    /// How far rounding may have moved it.
    pub(super) doubt: f64,
    /// Whether estimates by several steps agree: elsewhere the function has a kink or a jump nearer than they reach.
    pub(super) settled: bool,
}

/// The slope of a function that says with each number how much of it may be rounding. `size` is what a slope is about.
///
/// Differences over a step and over half of it make one that is wrong only from the fourth power of the step on (Richardson 1911). What tells
/// whether the step is small enough is the next such pair.
pub(super) fn slope(function: impl Fn(f64) -> Result<(f64, f64)>, size: f64) -> Result<Slope> {
    let mut best: Option<(f64, Slope)> = None;
    for power in 0..STEPS {
        let step = FIRST / 8f64.powi(power);
        let mut rounding: f64 = 0.0;
        let mut difference = |step: f64| -> Result<f64> {
            let ((above, rounded), (below, _)) = (function(step)?, function(-step)?);
            rounding = rounding.max(8.0 * rounded / step);
            Ok((above - below) / (2.0 * step))
        };
        let [whole, half, quarter] = [difference(step)?, difference(step / 2.0)?, difference(step / 4.0)?];
        let (coarse, fine) = ((4.0 * half - whole) / 3.0, (4.0 * quarter - half) / 3.0);
        let apart = (coarse - fine).abs();
        let settled = apart <= AGREE * size.max(fine.abs()) + rounding;
        let found = Slope { slope: fine, doubt: rounding, settled };
        if settled {
            return Ok(found);
        }
        if best.is_none_or(|(least, _)| apart < least) {
            best = Some((apart, found));
        }
    }
    Ok(best.map_or(Slope { slope: f64::NAN, doubt: 0.0, settled: false }, |(_, found)| found))
}
