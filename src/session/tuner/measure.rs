//! Timing variants beside each other.

use super::trial::Trial;
use crate::error::Result;
use crate::kernel::Caps;

/// The least and the most samples of a variant; their number is such that they fit `BUDGET`.
const SAMPLES: (usize, usize) = (3, 7);
/// Microseconds that the samples of one variant may take.
const BUDGET: f64 = 300_000.0;
/// Microseconds that one sample takes at least, by repeating the dispatches within a submission.
const SAMPLE: f64 = 500.0;
/// The most repetitions within a sample.
const MOST_REPEATS: f64 = 64.0;
/// A variant that takes this many times as long as the best after one round is not measured any further.
const HOPELESS: f64 = 3.0;

/// Whether anything here can tell time: a browser has no clock beside the device's.
pub(crate) fn is_possible(caps: &Caps) -> bool {
    caps.timestamps || !cfg!(target_arch = "wasm32")
}

/// Microseconds that each trial takes, several times over; `None` when there is nothing to compare. Trials take turns, so that
/// whatever slows the device down slows all of them down.
pub(crate) async fn times(trials: &[&Trial]) -> Result<Option<Vec<Vec<f64>>>> {
    if trials.len() < 2 {
        return Ok(None);
    }
    let mut times = vec![Vec::new(); trials.len()];
    let mut repeats = Vec::new();
    let mut least = f64::INFINITY;
    for trial in trials {
        // The first run fills caches and raises clocks; a long run is hardly affected.
        let first = trial.duration(1).await?;
        let once = if first > BUDGET / 4.0 { first } else { trial.duration(1).await? };
        least = least.min(once);
        repeats.push((SAMPLE / once.max(1.0)).clamp(1.0, MOST_REPEATS) as usize);
    }
    let samples = ((BUDGET / least.max(1.0)) as usize).clamp(SAMPLES.0, SAMPLES.1);
    let mut hopeful = vec![true; trials.len()];
    for round in 0..samples {
        for (k, trial) in trials.iter().enumerate().filter(|(k, _)| hopeful[*k]) {
            times[k].push(trial.duration(repeats[k]).await?);
        }
        if round == 0 {
            let best = times.iter().map(|t| t[0]).fold(f64::INFINITY, f64::min);
            hopeful.iter_mut().zip(&times).for_each(|(hopeful, times)| *hopeful = times[0] <= best * HOPELESS);
        }
    }
    Ok(Some(times))
}
