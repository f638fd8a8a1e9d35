//! The run itself.

use super::Train;
use super::interrupt::Interrupt;
use super::loss::{metrics, more_is_better, name_of};
use super::prepare::Run;
use super::results;
use super::show::{Show, clock, few, told};
use crate::Verdict;
use crate::failure::{Failure, Result};
use crate::table::number;
use gristmill::train::{Callback, CheckpointFolder, EarlyStop, Ended, Evaluation, Fit, FitOptions, JsonLines, LossCurve, Trainer};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Trains, and writes what came out.
pub(crate) fn fit(mut run: Run, arguments: &Train, out: &mut dyn Write) -> Result<Verdict> {
    let folder = checkpoints(&run, arguments)?;
    let interrupt = Interrupt::watch()?;
    super::header::print(&run, out)?;
    if let Some(folder) = &folder {
        let last = saved(&folder.folder)?.iter().filter_map(|path| step_of(path)).max();
        let last = last.map(|step| format!("; goes on from step {step}")).unwrap_or_default();
        writeln!(out, "checkpoints  {}{last}", folder.folder.display())?;
    }
    out.flush()?;

    let mut options = options(&mut run, folder, arguments)?;
    let (mut log, mut curve) = log(&run, options.resume)?;
    let mut trainer = Trainer::new(run.step);
    let start = Instant::now();
    let mut show = Show::new(out, &run.bars, run.steps, interrupt.clone());
    let mut callbacks: Vec<&mut dyn Callback> = vec![&mut show, &mut curve];
    callbacks.extend(log.as_mut().map(|log| log as &mut dyn Callback));
    let fitted = trainer.fit_blocking(&mut run.data.training, &mut options, &mut callbacks);
    show.end();
    if let Some(failed) = show.failed.take() {
        return Err(Failure::Output(failed));
    }
    let (loss, saved) = (show.loss, show.saved.take());
    let fitted = fitted.map_err(|error| failed(&error, saved.as_ref()))?;
    ended(out, &fitted, loss, start)?;
    for path in results::write(trainer.step(), &curve, &run.configuration, &run.output)? {
        writeln!(out, "wrote {}", path.display())?;
    }
    match interrupt.is_asked() && fitted.ended == Ended::Callback {
        true => interrupted(out, &fitted, saved.as_ref()).map(|()| Verdict::Interrupted),
        false => Ok(Verdict::Good),
    }
}

/// The folder of checkpoints, which holds none where the run starts anew.
fn checkpoints(run: &Run, arguments: &Train) -> Result<Option<CheckpointFolder>> {
    let Some(table) = &run.configuration.checkpoints else {
        return match arguments.resume || arguments.fresh {
            true => Err(run.source.wrong("", "--resume and --fresh need a table [checkpoints], which names a folder")),
            false => Ok(None),
        };
    };
    let folder = CheckpointFolder::new(run.output.join(&table.folder), table.keep);
    let there = saved(&folder.folder)?;
    if arguments.fresh {
        there.iter().try_for_each(|path| fs::remove_file(path).map_err(|e| Failure::file("remove", path, e)))?;
    } else if !there.is_empty() && !arguments.resume && !table.resume {
        return Err(Failure::message(format!(
            "{} holds checkpoints: go on from the last one with --resume, or start anew with --fresh, which removes them",
            folder.folder.display()
        )));
    }
    Ok(Some(folder))
}

/// The files of checkpoints in a folder.
fn saved(folder: &Path) -> Result<Vec<PathBuf>> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(Vec::new()) };
    let paths: Vec<PathBuf> = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    Ok(paths.into_iter().filter(|path| step_of(path).is_some()).collect())
}

/// The step of the file of a checkpoint.
fn step_of(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_prefix("step-")?.strip_suffix(".safetensors")?.parse().ok()
}

fn options(run: &mut Run, folder: Option<CheckpointFolder>, arguments: &Train) -> Result<FitOptions> {
    let (training, loss) = (&run.configuration.training, &run.configuration.loss);
    let checkpoints = run.configuration.checkpoints.as_ref();
    let metrics = metrics(&training.metrics, loss, training.decoded.as_ref(), &run.source)?;
    let evaluation = run.data.held_out.take().filter(|_| !metrics.is_empty()).map(|data| Evaluation { data, metrics });
    let early_stop = training.early_stop.as_ref().map(|table| EarlyStop {
        more_is_better: more_is_better(table.metric),
        least_difference: table.least_difference,
        ..EarlyStop::new(name_of(table.metric), table.patience)
    });
    Ok(FitOptions {
        schedule: run.schedule.clone(),
        log_every: training.log_every.unwrap_or(10),
        evaluate_every: run.evaluate_every,
        evaluation,
        early_stop,
        save_every: checkpoints.map_or(0, |table| table.every),
        resume: folder.is_some() && !arguments.fresh && (arguments.resume || checkpoints.is_some_and(|table| table.resume)),
        folder,
        ..FitOptions::new(run.steps)
    })
}

/// The log and the curve, which go on where the run does.
fn log(run: &Run, resume: bool) -> Result<(Option<JsonLines<File>>, LossCurve)> {
    let curve = LossCurve::new(run.title());
    let Some(file) = &run.configuration.output.log else { return Ok((None, curve)) };
    let path = results::place(&run.output, file)?;
    if !resume {
        let made = File::create(&path).map_err(|e| Failure::file("write", &path, e))?;
        return Ok((Some(JsonLines::new(made)), curve));
    }
    let log = JsonLines::append(&path)?;
    let text = fs::read_to_string(&path).map_err(|e| Failure::file("read", &path, e))?;
    let mut known = LossCurve::from_json_lines(&text).map_err(|e| Failure::file("go on with", &path, e))?;
    known.title = curve.title;
    Ok((Some(log), known))
}

/// What the run came to.
fn ended(out: &mut dyn Write, fitted: &Fit, loss: Option<f64>, start: Instant) -> Result<()> {
    let made = fitted.steps - fitted.resumed.unwrap_or(0);
    let took = start.elapsed();
    let why = match fitted.ended {
        Ended::Early => ", ended early since evaluations got no better",
        _ => "",
    };
    let speed = few(made as f64 / took.as_secs_f64().max(1e-9));
    write!(out, "{} steps{why}; {made} of them in {}, {speed} steps/s", fitted.steps, clock(took))?;
    if let Some(loss) = loss {
        write!(out, "; loss {}", number(loss))?;
    }
    if !fitted.metrics.is_empty() {
        write!(out, "; held out: {}", told(&fitted.metrics))?;
    }
    Ok(writeln!(out)?)
}

/// How to go on after a run that failed.
fn failed(error: &gristmill::Error, saved: Option<&(u64, PathBuf)>) -> Failure {
    Failure::message(match saved {
        Some((step, _)) => {
            format!("{error}; the last checkpoint is that of step {step}: the same command with --resume goes on from there")
        }
        None => error.to_string(),
    })
}

/// How to go on after a run that was ended.
fn interrupted(out: &mut dyn Write, fitted: &Fit, saved: Option<&(u64, PathBuf)>) -> Result<()> {
    let step = fitted.steps;
    match saved {
        Some((_, path)) => {
            let path = path.display();
            writeln!(out, "ended after step {step} as was asked; saved {path}: the same command with --resume goes on from there")?;
        }
        None => writeln!(out, "ended after step {step} as was asked; without a table [checkpoints] nothing goes on from there")?,
    }
    Ok(())
}
