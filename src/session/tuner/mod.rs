//! The tuner: which variants a session's plans take, by measurement. A plan stays a function of the graph, the adapter and the
//! [`Choices`]; measuring happens when a plan is made, never in a run.

mod choose;
mod kept;
mod measure;

use super::Options;
use super::unit::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::gpu::{CacheFile, Gpu, Pipeline};
use crate::graph::Graph;
use crate::kernel::Caps;
use crate::plan::{self, Choices, Measurable, Plan, Refusal, Signature};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How a session chooses among the variants of a kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Tuning {
    /// By a table: the order that each operator gives its variants in for the adapter's class.
    #[default]
    Off,
    /// By measuring the first few of the table when a plan is made, once for each kind of node and bucket of shapes (see
    /// [`Signature`]). Results are kept in [`Options::cache`]; where measurement tells nothing, the table decides.
    On,
    /// As `On`, and what was measured in earlier sessions is measured again.
    Forced,
}

/// The most variants of a node that are measured.
const MOST_CANDIDATES: usize = 4;

/// How often times are taken anew that tell nothing.
const ATTEMPTS: usize = 3;

/// Name of a variant, and its pipelines.
type Winner = (&'static str, Vec<Arc<Pipeline>>);

/// What a session knows of variants.
pub(super) struct Tuner {
    tuning: Tuning,
    /// Runs with and without run-time checks differ in speed.
    checked: bool,
    folder: Option<PathBuf>,
    state: Mutex<State>,
    /// Held while something is measured, so that measurements do not disturb each other.
    measuring: futures_intrusive::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    choices: Arc<Choices>,
    /// The cache file was read.
    loaded: bool,
    /// What this session measured, or tried to.
    tried: BTreeSet<Signature>,
    /// What this session has to add to the cache file.
    news: Choices,
}

impl Tuner {
    pub(super) fn new(options: &Options) -> Self {
        Tuner {
            tuning: options.tuning,
            checked: options.checked,
            folder: options.cache.path(),
            state: Mutex::default(),
            measuring: futures_intrusive::sync::Mutex::new((), true),
        }
    }

    /// Where compiled kernels are kept.
    pub(super) fn folder(&self) -> Option<&std::path::Path> {
        self.folder.as_deref()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, caps: &Caps) -> Option<CacheFile> {
        let about = if self.checked { "checked kernels" } else { "kernels" };
        self.folder.as_ref().map(|folder| CacheFile::new(folder, "tuning", about, caps))
    }

    /// What is known by now; the first call reads what earlier sessions kept.
    pub(super) fn choices(&self, caps: &Caps) -> Arc<Choices> {
        let mut state = self.state();
        if !state.loaded {
            state.loaded = true;
            let kept = self.file(caps).and_then(|file| file.read()).and_then(|payload| kept::parse(&payload));
            let Choices { measured, refused } = kept.unwrap_or_default();
            let measured = (self.tuning != Tuning::Off).then(|| measured.unwrap_or_default());
            state.choices = Arc::new(Choices { measured, refused });
        }
        state.choices.clone()
    }

    /// Measures what is not known yet of the nodes of a graph, which is specialised and optimised. Returns the pipelines of the
    /// variants that won, which the graph's plan will want.
    pub(super) async fn tune(&self, context: &Context<'_>, graph: &Graph) -> Result<Vec<Arc<Pipeline>>> {
        let caps = context.gpu.caps();
        if self.tuning == Tuning::Off || !measure::is_possible(caps) {
            return Ok(vec![]);
        }
        let mut winners = Vec::new();
        let _measuring = self.measuring.lock().await;
        let options = plan::Options { choices: self.choices(caps), ..context.plan_options() };
        let offers = plan::measurable(graph, caps, &options)?;
        for offer in offers {
            if !self.take(&offer.signature) {
                continue;
            }
            let fastest = self.fastest(context, graph, &offer).await?;
            let mut state = self.state();
            let State { choices, news, .. } = &mut *state;
            let measured = Arc::make_mut(choices).measured.get_or_insert_default();
            match fastest {
                Some((variant, pipelines)) => {
                    winners.extend(pipelines);
                    log::debug!("{}: {variant} of {:?}", offer.signature, offer.variants);
                    measured.insert(offer.signature.clone(), variant.to_string());
                    news.measured.get_or_insert_default().insert(offer.signature, variant.to_string());
                }
                None => drop(measured.remove(&offer.signature)),
            }
        }
        self.keep(caps);
        Ok(winners)
    }

    /// Whether to measure this now; not again in this session then.
    fn take(&self, signature: &Signature) -> bool {
        let mut state = self.state();
        let known = state.choices.measured.as_ref().is_some_and(|m| m.contains_key(signature));
        (self.tuning == Tuning::Forced || !known) && state.tried.insert(signature.clone())
    }

    /// The fastest variant of an offer, with its pipelines; `None` when measurement does not tell.
    async fn fastest(&self, context: &Context<'_>, graph: &Graph, offer: &Measurable) -> Result<Option<Winner>> {
        let mut trials = Vec::new();
        for &variant in offer.variants.iter().take(MOST_CANDIDATES) {
            match measure::Trial::new(context, graph, offer.node, variant).await {
                Ok(trial) => trials.extend(trial.map(|trial| (variant, trial))),
                Err(error) if context.gpu.is_lost() => return Err(error),
                // Scratch memory may be short where the plan's own is not; then nothing can be said of the others either.
                Err(error) => {
                    log::debug!("{}: {variant} cannot be measured: {error}", offer.signature);
                    return Ok(None);
                }
            }
        }
        let measured: Vec<&measure::Trial> = trials.iter().map(|(_, trial)| trial).collect();
        for _ in 0..ATTEMPTS {
            if let Some(fastest) = measure::times(&measured).await?.and_then(|times| choose::choose(&times)) {
                let (variant, trial) = &trials[fastest];
                return Ok(Some((*variant, trial.pipelines().to_vec())));
            }
        }
        Ok(None)
    }

    /// Remembers the kernels of a plan that the device refused to compile, with one warning for each variant. Says whether any
    /// was not known to be refused, so that another plan may do; `None` when the fault is none of the kernels'.
    pub(super) fn refuse(&self, gpu: &Gpu, plan: &Plan, faults: &[(usize, Error)]) -> Option<bool> {
        if gpu.is_lost() || faults.iter().any(|(_, e)| e.kind() != ErrorKind::Internal) {
            return None;
        }
        let mut grown = false;
        for (kernel, error) in faults {
            for step in plan.steps().filter(|s| s.kernel == *kernel) {
                let node = &plan.graph.nodes()[step.node];
                let refusal = Refusal::new(node, step.variant, &plan.kernels[*kernel]);
                let mut state = self.state();
                let State { choices, news, .. } = &mut *state;
                if !choices.refused.contains(&refusal) {
                    log::warn!("variant `{}` of {} is skipped from now on: {error}", step.variant, node.path);
                    Arc::make_mut(choices).refused.insert(refusal.clone());
                    news.refused.insert(refusal);
                    grown = true;
                }
            }
        }
        self.keep(gpu.caps());
        Some(grown)
    }

    /// Writes the news of this session into the cache file, beside what other processes wrote since it was read.
    fn keep(&self, caps: &Caps) {
        let news = std::mem::take(&mut self.state().news);
        if news == Choices::default() {
            return;
        }
        if let Some(file) = self.file(caps) {
            file.update(|found| {
                let mut all = found.and_then(|payload| kept::parse(&payload)).unwrap_or_default();
                let measured: BTreeMap<Signature, String> = news.measured.unwrap_or_default();
                all.measured.get_or_insert_default().extend(measured);
                all.refused.extend(news.refused);
                Some(kept::print(&all))
            });
        }
    }
}
