//! What a session knows of variants: which it measured to be the fastest, and which the driver refused. It reads them from the
//! cache folder, adds to them as plans are made, and writes them back.

use super::choices_file::{parse, print};
use crate::error::{Error, ErrorKind};
use crate::gpu::{CacheFile, Gpu};
use crate::kernel::Caps;
use crate::plan::{Choices, Plan, Refusal, TuningKey};
use crate::session::options::{Options, Tuning};
use futures_intrusive::sync::MutexGuard as AsyncGuard;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The choices of a session, as they grow.
pub(crate) struct ChoiceStore {
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
    tried: BTreeSet<TuningKey>,
    /// What this session has to add to the cache file.
    news: Choices,
}

/// What the faults of a plan's kernels mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The kernels are not at fault: the device is lost, or has no memory left.
    Unrelated,
    /// The driver refuses kernels that it was known to refuse.
    Known,
    /// The driver refuses kernels for the first time, so that another plan may do.
    New,
}

impl ChoiceStore {
    pub(crate) fn new(options: &Options) -> Self {
        ChoiceStore {
            tuning: options.tuning,
            checked: options.checked,
            folder: options.cache.path(),
            state: Mutex::default(),
            measuring: futures_intrusive::sync::Mutex::new((), true),
        }
    }

    /// Waits until no other thread measures.
    pub(crate) async fn measuring(&self) -> AsyncGuard<'_, ()> {
        self.measuring.lock().await
    }

    /// Where compiled kernels are kept.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// Whether variants are measured at all.
    pub(crate) fn is_tuned(&self) -> bool {
        self.tuning != Tuning::Off
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, caps: &Caps) -> Option<CacheFile> {
        let about = if self.checked { "checked kernels" } else { "kernels" };
        self.folder.as_ref().map(|folder| CacheFile::new(folder, "tuning", about, caps))
    }

    /// The choices so far; the first call reads those of earlier sessions.
    pub(crate) fn choices(&self, caps: &Caps) -> Arc<Choices> {
        let mut state = self.state();
        if !state.loaded {
            state.loaded = true;
            let found = self.file(caps).and_then(|file| file.read()).and_then(|payload| parse(&payload));
            let Choices { measured, refused } = found.unwrap_or_default();
            let measured = self.is_tuned().then(|| measured.unwrap_or_default());
            state.choices = Arc::new(Choices { measured, refused });
        }
        state.choices.clone()
    }

    /// Whether the caller is to measure a problem: yes once, if its fastest variant is not known.
    pub(crate) fn claim(&self, problem: &TuningKey) -> bool {
        let mut state = self.state();
        let known = state.choices.measured.as_ref().is_some_and(|m| m.contains_key(problem));
        (self.tuning == Tuning::Forced || !known) && state.tried.insert(problem.clone())
    }

    /// Stores which variant was the fastest; `None` when measurement does not tell.
    pub(crate) fn record(&self, problem: TuningKey, fastest: Option<&str>) {
        let mut state = self.state();
        let State { choices, news, .. } = &mut *state;
        let measured = Arc::make_mut(choices).measured.get_or_insert_default();
        match fastest {
            Some(variant) => {
                measured.insert(problem.clone(), variant.to_string());
                news.measured.get_or_insert_default().insert(problem, variant.to_string());
            }
            None => drop(measured.remove(&problem)),
        }
    }

    /// Stores the kernels of a plan that the device refused to compile, with one warning for each variant.
    pub(crate) fn refuse(&self, gpu: &Gpu, plan: &Plan, faults: &[(usize, Error)]) -> Verdict {
        if gpu.is_lost() || faults.iter().any(|(_, e)| e.kind() != ErrorKind::Internal) {
            return Verdict::Unrelated;
        }
        let mut verdict = Verdict::Known;
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
                    verdict = Verdict::New;
                }
            }
        }
        self.save(gpu.caps());
        verdict
    }

    /// Adds the news of this session to the cache file, beside what other processes wrote since it was read.
    pub(crate) fn save(&self, caps: &Caps) {
        let news = std::mem::take(&mut self.state().news);
        if news == Choices::default() {
            return;
        }
        if let Some(file) = self.file(caps) {
            file.update(|found| {
                let mut all = found.and_then(|payload| parse(&payload)).unwrap_or_default();
                all.measured.get_or_insert_default().extend(news.measured.unwrap_or_default());
                all.refused.extend(news.refused);
                Some(print(&all))
            });
        }
    }
}
