//! Checking a row against the reference, and timing it.

use crate::failure::{Failure, Result};
use crate::inputs::{Inputs, views};
use crate::rows::{Row, subject};
use gristmill::{AdapterClass, ErrorKind, Gpu, Model, Options, Outputs, Session};

/// Runs that a median is taken of: as many as fit the time, within these bounds.
const REPEATS: (usize, usize) = (10, 200);
/// Microseconds that the timed runs of one row may take together.
const BUDGET: f64 = 400_000.0;

/// Time of a row's dispatches in microseconds, over several runs.
#[derive(Clone, Debug)]
pub(crate) struct Times {
    sorted: Vec<f64>,
}

impl Times {
    pub(crate) fn new(mut times: Vec<f64>) -> Self {
        times.sort_by(f64::total_cmp);
        Times { sorted: times }
    }

    /// The time that a share of the runs did not exceed.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let last = self.sorted.len().saturating_sub(1);
        self.sorted.get((last as f64 * share).round() as usize).copied().unwrap_or(0.0)
    }

    /// How many runs there were.
    pub(crate) fn len(&self) -> usize {
        self.sorted.len()
    }

    /// The middle one.
    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The least one.
    pub(crate) fn min(&self) -> f64 {
        self.quantile(0.0)
    }

    /// Half the distance between the quartiles, over the median.
    pub(crate) fn spread(&self) -> f64 {
        (self.quantile(0.75) - self.quantile(0.25)) / 2.0 / self.median().max(f64::MIN_POSITIVE)
    }
}

/// What the references make of a model and its inputs, for comparison.
pub(crate) struct Expected(Outputs);

impl Expected {
    pub(crate) fn new(model: &Model, inputs: &Inputs) -> Result<Self> {
        Ok(Expected(Session::cpu(model, Options::default())?.run_blocking(&views(inputs))?))
    }

    /// The worst difference, in units of what f32 sums in another order may cost; above 1 is wrong.
    pub(crate) fn worst(&self, found: &Outputs) -> f64 {
        let pairs = found.iter().zip(self.0.iter());
        pairs
            .map(|((_, found), (_, expected))| {
                let (found, expected) = (found.to_f64(), expected.to_f64());
                let largest = expected.iter().fold(0.0f64, |most, e| most.max(e.abs()));
                let off = |(f, e): (&f64, &f64)| (f - e).abs() / (1e-4 * e.abs() + 2e-5 * largest).max(1e-12);
                // A NaN where there is none is as wrong as can be; `max` would pass over it.
                found
                    .iter()
                    .zip(&expected)
                    .map(off)
                    .fold(0.0, |worst, off| if off.is_nan() { f64::INFINITY } else { off.max(worst) })
            })
            .fold(0.0, f64::max)
    }
}

/// The variants a row can run by, the preferred one first; none where it takes no kernel.
pub(crate) fn variants(gpu: &Gpu, row: &Row) -> Result<Vec<&'static str>> {
    let session = Session::new_blocking(gpu, &row.model, Options { strict_gpu: true, ..Options::default() })?;
    let plan = session.plan(&views(&row.inputs))?;
    Ok(subject(&plan.variants).map(|node| plan.variants[node].clone()).unwrap_or_default())
}

/// One variant of a row, checked and timed.
pub(crate) struct Measured {
    /// The variant that was timed.
    pub(crate) variant: String,
    /// How many dispatches it takes.
    pub(crate) dispatches: usize,
    pub(crate) times: Times,
    /// Microseconds of one run on the host's clock, from many in one submission: what lies between dispatches included.
    pub(crate) wall: f64,
}

/// Checks and times a row, by the variant named or the one that the session picks.
pub(crate) fn measure(gpu: &Gpu, row: &Row, expected: &Expected, options: Options) -> Result<Measured> {
    let session = Session::new_blocking(gpu, &row.model, Options { strict_gpu: true, ..options })?;
    let inputs = views(&row.inputs);
    let worst = expected.worst(&session.run_blocking(&inputs)?);
    if worst > 1.0 {
        let name = format!("{}:{}", row.family, row.shape);
        return Err(Failure::message(format!(
            "{name}: the result lies {worst:.1} tolerances from the reference, so it is not timed"
        )));
    }
    let plan = session.plan(&inputs)?;
    let steps: Vec<&str> = plan.steps().map(|s| s.variant).collect();
    let node = subject(&plan.variants);
    let variant = plan.steps().find(|s| Some(s.node) == node).map_or("none", |s| s.variant);
    let times = Times::new(time(gpu, &session, &inputs, BUDGET)?);
    let count = ((BUDGET / 4.0 / times.median().max(1.0)) as usize).clamp(1, most_per_submit(gpu));
    let wall = session.pace_blocking(&inputs, count)?;
    Ok(Measured { variant: variant.to_string(), dispatches: steps.len(), times, wall })
}

/// Microseconds of a session's dispatches in each of several runs, which may take so many together.
pub(super) fn time(gpu: &Gpu, session: &Session, inputs: &[(&str, gristmill::TensorView<'_>)], budget: f64) -> Result<Vec<f64>> {
    if gpu.caps().timestamps {
        match session.profile_blocking(inputs, 3) {
            Ok(first) => {
                let repeats = ((budget / first.device_microseconds().max(1.0)) as usize).clamp(REPEATS.0, REPEATS.1);
                let times = session.profile_blocking(inputs, repeats)?.totals;
                // A clock that stands still or runs backwards tells nothing.
                if times.iter().all(|t| *t > 0.0) {
                    return Ok(times);
                }
            }
            Err(e) if e.kind() == ErrorKind::Unsupported => {}
            Err(e) => return Err(e.into()),
        }
    }
    let once = session.pace_blocking(inputs, 1)?;
    let count = ((budget / 10.0 / once.max(1.0)) as usize).clamp(1, most_per_submit(gpu));
    Ok((0..REPEATS.0).map(|_| session.pace_blocking(inputs, count)).collect::<gristmill::Result<Vec<f64>>>()?)
}

/// Dispatches of one submission: GPUs end what takes them seconds.
fn most_per_submit(gpu: &Gpu) -> usize {
    if gpu.caps().class == AdapterClass::Cpu { 50 } else { 1000 }
}
