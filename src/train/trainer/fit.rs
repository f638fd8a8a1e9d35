//! The run of training itself.

use super::callback::{Callback, StepLog};
use super::options::{Evaluation, FitOptions};
use super::pace::Pace;
use super::progress::Progress;
use super::recent::Recent;
use crate::error::{Error, Result};
use crate::train::checkpoint::CheckpointFolder;
use crate::train::data::{Loader, Place};
use crate::train::schedule::Schedule;
use crate::train::step::Step;

/// Trains by a step: batch after batch, at rates that follow a schedule, with logs, evaluations and checkpoints on the way. A run that was
/// ended by anything goes on from its last checkpoint, in the middle of an epoch, to the same bytes that it would have come to.
///
/// ```
/// use gristmill::graph::{Builder, Dim};
/// use gristmill::train::{self, Examples, FitOptions, JsonLines, Loader, LoaderOptions, LossReduction, Sgd, Step, StepOptions, Trainer};
/// use gristmill::{DType, Tensor, operators};
///
/// let mut b = Builder::new("a line");
/// let x = b.input("x", DType::F32, &[Dim::Named("n".into())]);
/// let y = b.input("y", DType::F32, &[Dim::Named("n".into())]);
/// let slope = b.constant("slope", Tensor::new([1], &[0.0f32])?);
/// let found = b.node("found", operators::binary("Mul")?, &[Some(x), Some(slope)]);
/// let loss = train::mean_squared_error(&mut b, "loss", [found, y], LossReduction::Mean)?;
/// b.output("loss", loss)?;
/// let sgd = Sgd { learning_rate: 0.1, ..Sgd::default() };
/// let step = Step::cpu(&b.finish()?, StepOptions::new("loss", vec!["slope".into()], sgd))?;
///
/// let (x, y) = (Tensor::vector(&[1.0f32, 2.0, -1.0]), Tensor::vector(&[3.0f32, 6.0, -3.0]));
/// let examples = Examples::new(vec![("x".into(), x), ("y".into(), y)])?;
/// let mut data = Loader::new(examples, LoaderOptions { shuffle: true, ..LoaderOptions::new(2) })?;
/// let mut trainer = Trainer::new(step);
/// let mut log = JsonLines::new(Vec::new());
/// trainer.fit_blocking(&mut data, &mut FitOptions::new(60), &mut [&mut log])?;
/// assert!((trainer.step().get_blocking("slope")?.as_slice::<f32>()?[0] - 3.0).abs() < 1e-3);
/// assert!(log.into_inner().starts_with(b"{"));
/// # Ok::<(), gristmill::Error>(())
/// ```
#[derive(Debug)]
pub struct Trainer {
    step: Step,
    /// The rates that the optimizers were given.
    bases: Vec<f64>,
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All steps were made.
    Steps,
    /// Evaluations got no better.
    Early,
    /// A callback ended it.
    Callback,
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// How many updates there were, with those before the run.
    pub steps: u64,
    /// The step that it went on from, where that was one of a checkpoint.
    pub resumed: Option<u64>,
    /// What the run has otherwise than the one that it went on from: learning rates and other numbers of optimizers, the schedule, the norm to clip at,
    /// the adapter, on which bytes may differ, the variants of kernels.
    pub changes: Vec<String>,
    /// Why it ended.
    pub ended: Ended,
    /// What was evaluated last.
    pub metrics: Vec<(String, f64)>,
}

impl Trainer {
    /// A trainer by a step. Schedules start from the rates that its optimizers have now.
    pub fn new(step: Step) -> Self {
        Trainer { bases: step.learning_rates(), step }
    }

    /// The step.
    pub fn step(&self) -> &Step {
        &self.step
    }

    /// The step, to be changed.
    pub fn step_mut(&mut self) -> &mut Step {
        &mut self.step
    }

    /// The step, which stays as it is.
    pub fn into_step(self) -> Step {
        self.step
    }

    /// Trains from where the step is, on data from where the loader is, or both from the last checkpoint. Inputs that the network has not are for
    /// metrics alone.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) naming what is wrong with the options; [`InvalidInput`](crate::ErrorKind::InvalidInput)
    /// naming what does not fit of a checkpoint; [`Diverged`](crate::ErrorKind::Diverged) naming the step whose loss or gradients are infinite or no
    /// number, its batch, and the first node that makes something of the kind, in forward or backward pass. Step and data stand before that batch then, as if
    /// it and those after it had never been (see [`Guard`](crate::train::Guard)). As [`Step::step`], [`Loader::next_batch`], [`CheckpointFolder::save`], and those of callbacks.
    pub async fn fit(&mut self, data: &mut Loader, options: &mut FitOptions, callbacks: &mut [&mut dyn Callback]) -> Result<Fit> {
        options.check()?;
        let (mut progress, resumed, changes) = self.begin(data, options)?;
        let mut fit = Fit { steps: self.step.steps(), resumed, changes, ended: Ended::Steps, metrics: Vec::new() };
        let inputs = self.step.input_names();
        let (mut saved, mut pace, mut recent) = (resumed, Pace::start(fit.steps), Recent::default());
        let mut evaluated = fit.steps;
        while fit.steps < options.steps {
            if progress.is_over(options.early_stop.as_ref()) {
                fit.ended = Ended::Early;
                break;
            }
            let epoch = data.place().epoch;
            self.update(data, &inputs, &options.schedule, &mut recent).await?;
            fit.steps = self.step.steps();
            each(callbacks, |callback| callback.stepped(fit.steps))?;
            if options.looks_after(fit.steps) || recent.are_many() {
                self.look(data, &inputs, &mut recent).await?;
            }
            if fit.steps.is_multiple_of(options.log_every) {
                let log = self.log(data.place(), &mut pace).await?;
                each(callbacks, |callback| callback.logged(&log))?;
            }
            if data.place().epoch > epoch {
                each(callbacks, |callback| callback.epoch_ended(fit.steps, epoch))?;
            }
            if let Some(evaluation) = options.evaluation.as_mut().filter(|_| fit.steps.is_multiple_of(options.evaluate_every)) {
                fit.metrics = self.evaluate(evaluation).await?;
                options.early_stop.iter().for_each(|stop| progress.note(stop, &fit.metrics));
                evaluated = fit.steps;
                each(callbacks, |callback| callback.evaluated(fit.steps, &fit.metrics))?;
            }
            if let Some(folder) =
                options.folder.as_ref().filter(|_| options.save_every > 0 && fit.steps.is_multiple_of(options.save_every))
            {
                self.save(folder, options, &progress, data, callbacks).await?;
                saved = Some(fit.steps);
            }
            if callbacks.iter().any(|callback| callback.stops()) {
                fit.ended = Ended::Callback;
                break;
            }
        }
        self.look(data, &inputs, &mut recent).await?;
        if let Some(evaluation) = options.evaluation.as_mut().filter(|_| fit.ended == Ended::Steps && fit.steps > evaluated) {
            // Not noted for an early stop: a longer run would not have evaluated here.
            fit.metrics = self.evaluate(evaluation).await?;
            each(callbacks, |callback| callback.evaluated(fit.steps, &fit.metrics))?;
        }
        if let Some(folder) = options.folder.as_ref().filter(|_| saved != Some(fit.steps)) {
            self.save(folder, options, &progress, data, callbacks).await?;
        }
        Ok(fit)
    }

    /// [`fit`](Trainer::fit), blocking.
    ///
    /// # Errors
    /// As `fit`.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn fit_blocking(
        &mut self,
        data: &mut Loader,
        options: &mut FitOptions,
        callbacks: &mut [&mut dyn Callback],
    ) -> Result<Fit> {
        crate::gpu::block_on(self.fit(data, options, callbacks))
    }

    /// The rates that schedules start from.
    pub(super) fn bases(&self) -> &[f64] {
        &self.bases
    }

    /// Goes on from the last checkpoint, where that is wanted and there is one. What the run has otherwise than the one before is said.
    fn begin(&mut self, data: &mut Loader, options: &FitOptions) -> Result<(Progress, Option<u64>, Vec<String>)> {
        let nothing = (Progress::default(), None, Vec::new());
        let Some(folder) = options.folder.as_ref().filter(|_| options.resume) else { return Ok(nothing) };
        let Some((path, saved)) = folder.latest()? else { return Ok(nothing) };
        let named = |error: Error| Error::new(error.kind(), format!("{}: {}", path.display(), error.message()));
        let changes = self.record(data, options).compared(&saved).map_err(named)?;
        let (progress, place) = Progress::read(&saved).map_err(named)?;
        self.step.restore(&saved.checkpoint).map_err(named)?;
        data.go_to(place).map_err(named)?;
        changes.iter().for_each(|change| log::warn!("the run goes on with other options: {change}"));
        Ok((progress, Some(saved.checkpoint.steps), changes))
    }

    /// Makes one update, of as many batches as it takes.
    async fn update(&mut self, data: &mut Loader, inputs: &[String], schedule: &Schedule, recent: &mut Recent) -> Result<()> {
        let before = self.step.steps();
        for (group, base) in self.bases.iter().enumerate() {
            self.step.set_learning_rate(group, schedule.rate(*base, before))?;
        }
        while self.step.steps() == before {
            let place = data.place();
            let batch = data.next_batch()?;
            recent.push(place);
            self.step.step(&batch.views(inputs)).await?;
        }
        Ok(())
    }

    /// The loss of the last step.
    ///
    /// # Errors
    /// [`Diverged`](crate::ErrorKind::Diverged) where it is infinite or no number.
    async fn loss(&self) -> Result<f64> {
        let loss = self.step.last_loss().await?;
        match loss.is_finite() {
            true => Ok(loss),
            false => Err(Error::diverged(format!("the loss of step {} is {loss}", self.step.steps()))),
        }
    }

    async fn log(&self, place: Place, pace: &mut Pace) -> Result<StepLog> {
        let (loss, gradient_norm) = (self.loss().await?, self.step.gradient_norm().await?);
        // All steps have ended now.
        let (elapsed_seconds, steps_per_second) = pace.read(self.step.steps());
        Ok(StepLog {
            step: self.step.steps(),
            place,
            loss,
            learning_rates: self.step.learning_rates(),
            gradient_norm,
            elapsed_seconds,
            steps_per_second,
        })
    }

    /// All metrics over one epoch of the data.
    async fn evaluate(&mut self, evaluation: &mut Evaluation) -> Result<Vec<(String, f64)>> {
        let Evaluation { data, metrics } = evaluation;
        let mut outputs: Vec<String> = metrics.iter().flat_map(|metric| metric.outputs()).collect();
        outputs.sort();
        outputs.dedup();
        let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
        let inputs = self.step.evaluation_input_names(&outputs)?;
        // What an evaluation that failed has left.
        metrics.iter_mut().for_each(|metric| _ = metric.take());
        data.go_to(Place::default())?;
        for _ in 0..data.batches() {
            let batch = data.next_batch()?;
            let found = self.step.evaluate(&outputs, &batch.views(&inputs)).await?;
            metrics.iter_mut().try_for_each(|metric| metric.add(&found, &batch))?;
        }
        Ok(metrics.iter_mut().map(|metric| (metric.name().to_string(), metric.take())).collect())
    }

    /// Saves a checkpoint, unless what would be saved has diverged.
    async fn save(
        &self,
        folder: &CheckpointFolder,
        options: &FitOptions,
        progress: &Progress,
        data: &Loader,
        callbacks: &mut [&mut dyn Callback],
    ) -> Result<()> {
        self.loss().await?;
        let checkpoint = self.step.checkpoint().await?;
        let texts: Vec<_> = self.record(data, options).texts().chain(progress.texts(data.place())).collect();
        let path = folder.save(&checkpoint, &texts)?;
        each(callbacks, |callback| callback.saved(checkpoint.steps, &path))
    }
}

fn each(callbacks: &mut [&mut dyn Callback], mut tell: impl FnMut(&mut dyn Callback) -> Result<()>) -> Result<()> {
    callbacks.iter_mut().try_for_each(|callback| tell(&mut **callback))
}
