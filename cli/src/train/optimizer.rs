//! The tables `[optimizer]` and `[schedule]`.

use super::configuration::{OptimizerKind, OptimizerTable, ScheduleKind, ScheduleTable, Source};
use super::names::{is_of, listed};
use crate::failure::Result;
use gristmill::train::{Adam, Optimizer, ParameterGroup, RmsProp, Schedule, Sgd};

/// Keys of every optimizer.
const COMMON: [&str; 6] = ["kind", "learning_rate", "weight_decay", "without_decay", "clip_norm", "accumulate"];

/// The parameters in groups: those that decay, and those that do not.
pub(crate) fn groups(table: &OptimizerTable, parameters: &[String], source: &Source) -> Result<Vec<ParameterGroup>> {
    let optimizer = optimizer(table, source)?;
    for pattern in &table.without_decay {
        if !parameters.iter().any(|name| is_of(pattern, name)) {
            let message = format!("no parameter is named `{pattern}`; there are {}", listed(parameters));
            return Err(source.wrong("optimizer.without_decay", message));
        }
    }
    let stays = |name: &String| table.without_decay.iter().any(|pattern| is_of(pattern, name));
    let (without, with): (Vec<String>, Vec<String>) = parameters.iter().cloned().partition(stays);
    let groups = [(with, optimizer.clone()), (without, without_decay(optimizer))];
    let groups = groups.into_iter().filter(|(parameters, _)| !parameters.is_empty());
    Ok(groups.map(|(parameters, optimizer)| ParameterGroup { parameters, optimizer }).collect())
}

fn optimizer(table: &OptimizerTable, source: &Source) -> Result<Optimizer> {
    let allow = |kind: &str, own: &[&str]| source.allow("optimizer", &format!("the optimizer `{kind}`"), &COMMON, own);
    Ok(match table.kind {
        OptimizerKind::Sgd => {
            allow("sgd", &["momentum", "dampening", "nesterov"])?;
            let base = Sgd::default();
            Sgd {
                learning_rate: table.learning_rate.unwrap_or(base.learning_rate),
                momentum: table.momentum.unwrap_or(base.momentum),
                dampening: table.dampening.unwrap_or(base.dampening),
                nesterov: table.nesterov.unwrap_or(base.nesterov),
                weight_decay: table.weight_decay.unwrap_or(base.weight_decay),
            }
            .into()
        }
        OptimizerKind::Adam | OptimizerKind::AdamW => {
            let decoupled = table.kind == OptimizerKind::AdamW;
            allow(if decoupled { "adamw" } else { "adam" }, &["betas", "epsilon"])?;
            let base = if decoupled { Adam::decoupled() } else { Adam::default() };
            Adam {
                learning_rate: table.learning_rate.unwrap_or(base.learning_rate),
                betas: table.betas.unwrap_or(base.betas),
                epsilon: table.epsilon.unwrap_or(base.epsilon),
                weight_decay: table.weight_decay.unwrap_or(base.weight_decay),
                decoupled,
            }
            .into()
        }
        OptimizerKind::RmsProp => {
            allow("rmsprop", &["alpha", "epsilon", "momentum", "centered"])?;
            let base = RmsProp::default();
            RmsProp {
                learning_rate: table.learning_rate.unwrap_or(base.learning_rate),
                alpha: table.alpha.unwrap_or(base.alpha),
                epsilon: table.epsilon.unwrap_or(base.epsilon),
                weight_decay: table.weight_decay.unwrap_or(base.weight_decay),
                momentum: table.momentum.unwrap_or(base.momentum),
                centered: table.centered.unwrap_or(base.centered),
            }
            .into()
        }
    })
}

fn without_decay(mut optimizer: Optimizer) -> Optimizer {
    *match &mut optimizer {
        Optimizer::Sgd(sgd) => &mut sgd.weight_decay,
        Optimizer::Adam(adam) => &mut adam.weight_decay,
        Optimizer::RmsProp(rms_prop) => &mut rms_prop.weight_decay,
    } = 0.0;
    optimizer
}

/// How rates change in a run of so many steps.
pub(crate) fn schedule(table: &ScheduleTable, steps: u64, source: &Source) -> Result<Schedule> {
    /// Keys of every schedule.
    const COMMON: [&str; 3] = ["kind", "warm_up", "warm_up_start"];
    let allow = |kind: &str, own: &[&str]| source.allow("schedule", &format!("the schedule `{kind}`"), &COMMON, own);
    let warm_up = table.warm_up.unwrap_or(0);
    let rest = table.steps.unwrap_or(steps.saturating_sub(warm_up).max(1));
    let schedule = match table.kind {
        ScheduleKind::Constant => {
            allow("constant", &[])?;
            Schedule::Constant
        }
        ScheduleKind::Step => {
            allow("step", &["every", "factor"])?;
            let every = table.every.ok_or_else(|| source.wrong("schedule.every", "the key is missing"))?;
            Schedule::Step { every, factor: table.factor.unwrap_or(0.1) }
        }
        ScheduleKind::Cosine => {
            allow("cosine", &["steps", "least"])?;
            Schedule::Cosine { steps: rest, least: table.least.unwrap_or(0.0) }
        }
        ScheduleKind::OneCycle => {
            allow("one_cycle", &["steps", "rise"])?;
            match (Schedule::one_cycle(rest), table.rise) {
                (Schedule::OneCycle { steps, start_divisor, end_divisor, linear, .. }, Some(rise)) => {
                    Schedule::OneCycle { steps, rise, start_divisor, end_divisor, linear }
                }
                (cycle, _) => cycle,
            }
        }
    };
    let schedule = match warm_up {
        0 if table.warm_up_start.is_some() => {
            return Err(source.wrong("schedule.warm_up_start", "of no use without `warm_up`, the number of its steps"));
        }
        0 => schedule,
        warm_up => schedule.after_warm_up(warm_up, table.warm_up_start.unwrap_or(0.01)),
    };
    schedule.check().map_err(source.because("schedule"))?;
    Ok(schedule)
}
