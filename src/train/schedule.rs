//! Learning rates by the number of a step, with PyTorch's formulas (torch.optim.lr_scheduler, version 2).

use crate::error::{Error, Result};
use std::f64::consts::PI;

/// How a learning rate changes with the number of the step. `base` is the rate that an optimizer was given.
///
/// ```
/// use gristmill::train::Schedule;
///
/// let schedule = Schedule::Cosine { steps: 100, least: 0.0 }.after_warm_up(10, 0.1);
/// let rates = [0, 5, 10, 60, 110].map(|step| schedule.rate(1.0, step));
/// let expected = [0.1, 0.55, 1.0, 0.5, 0.0];
/// assert!(rates.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{rates:?}");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Schedule {
    /// The base, always.
    #[default]
    Constant,
    /// The base times `factor` for every `every` steps that were made (`StepLR`).
    Step {
        /// How many steps lie between two changes.
        every: u64,
        /// What is left of the rate.
        factor: f64,
    },
    /// From the base down to `least` in `steps` steps, along half a cosine (`CosineAnnealingLR`). Past them it rises again, as PyTorch's does.
    Cosine {
        /// How many steps the way down takes.
        steps: u64,
        /// The rate at its end.
        least: f64,
    },
    /// Up to the base and down to nearly nothing (`OneCycleLR`, of two phases; the base is its `max_lr`, and momentum stays as it is). Past its
    /// steps the rate stays at the last one.
    OneCycle {
        /// How many steps the cycle takes.
        steps: u64,
        /// What part of them the way up takes.
        rise: f64,
        /// The first rate is the base divided by this.
        start_divisor: f64,
        /// The last rate is the first one divided by this.
        end_divisor: f64,
        /// Whether it changes along lines instead of cosines.
        linear: bool,
    },
    /// In `steps` steps along a line from a part of the base up to it, then another schedule from its beginning (`LinearLR` and `SequentialLR`).
    WarmUp {
        /// How many steps the way up takes.
        steps: u64,
        /// What part of the base the first rate is.
        start: f64,
        /// What comes then.
        then: Box<Schedule>,
    },
}

impl Schedule {
    /// One cycle with PyTorch's defaults.
    pub fn one_cycle(steps: u64) -> Self {
        Schedule::OneCycle { steps, rise: 0.3, start_divisor: 25.0, end_divisor: 1e4, linear: false }
    }

    /// This schedule after a warm-up, which starts at a part of the base.
    pub fn after_warm_up(self, steps: u64, start: f64) -> Self {
        Schedule::WarmUp { steps, start, then: Box::new(self) }
    }

    /// The rate of step number `step`, counted from 0.
    pub fn rate(&self, base: f64, step: u64) -> f64 {
        match self {
            Schedule::Constant => base,
            Schedule::Step { every, factor } => base * factor.powf((step / (*every).max(1)) as f64),
            Schedule::Cosine { steps, least } => {
                least + (base - least) * (1.0 + (PI * step as f64 / (*steps).max(1) as f64).cos()) / 2.0
            }
            Schedule::OneCycle { steps, rise, start_divisor, end_divisor, linear } => {
                let last = (*steps).max(1) - 1;
                let (step, last) = (step.min(last) as f64, last as f64);
                let top = rise * *steps as f64 - 1.0;
                let first = base / start_divisor;
                match step <= top {
                    true => between(first, base, part(step, top), *linear),
                    false => between(base, first / end_divisor, part(step - top, last - top), *linear),
                }
            }
            Schedule::WarmUp { steps, start, then } => match step < *steps {
                true => base * (start + (1.0 - start) * step as f64 / *steps as f64),
                false => then.rate(base, step - steps),
            },
        }
    }

    /// Checks all numbers.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) naming the number, its value and what is allowed.
    pub fn check(&self) -> Result<()> {
        let fails = |name: &str, value: f64, expected: &str| {
            Err(Error::invalid_argument(format!("the schedule's {name} is {value}; expected {expected}")))
        };
        let at_least_zero = |name: &str, value: f64| match value.is_finite() && value >= 0.0 {
            true => Ok(()),
            false => fails(name, value, "a number of at least 0"),
        };
        let some = |name: &str, steps: u64| if steps > 0 { Ok(()) } else { fails(name, 0.0, "1 or more") };
        let divides = |name: &str, value: f64| match value.is_finite() && value > 0.0 {
            true => Ok(()),
            false => fails(name, value, "a number above 0"),
        };
        match self {
            Schedule::Constant => Ok(()),
            Schedule::Step { every, factor } => some("number of steps", *every).and_then(|()| at_least_zero("factor", *factor)),
            Schedule::Cosine { steps, least } => some("number of steps", *steps).and_then(|()| at_least_zero("least rate", *least)),
            Schedule::OneCycle { steps, rise, start_divisor, end_divisor, .. } => {
                some("number of steps", *steps)?;
                divides("first divisor", *start_divisor)?;
                divides("last divisor", *end_divisor)?;
                match (0.0..=1.0).contains(rise) {
                    true => Ok(()),
                    false => fails("rise", *rise, "a part between 0 and 1"),
                }
            }
            Schedule::WarmUp { steps, start, then } => {
                some("number of steps", *steps)?;
                at_least_zero("start", *start)?;
                then.check()
            }
        }
    }
}

/// What part of a phase is over; all of one that takes no step.
fn part(step: f64, steps: f64) -> f64 {
    if steps > 0.0 { step / steps } else { 1.0 }
}

fn between(start: f64, end: f64, part: f64, linear: bool) -> f64 {
    match linear {
        true => (end - start) * part + start,
        false => end + (start - end) / 2.0 * (1.0 + (PI * part).cos()),
    }
}
