//! Runs that are ended at any moment, also while they save: what goes on from their checkpoints ends in the bytes of a run that nothing ended.

use super::saving::Folder;
use crate::cases::Random;
use crate::support::gpu;
use gristmill::graph::{Builder, Dim, Graph};
use gristmill::train::{
    self, Adam, CheckpointFolder, Examples, FitOptions, Loader, LoaderOptions, LossReduction, Step, StepOptions, Trainer,
};
use gristmill::{DType, operators};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const FOLDER: &str = "GRISTMILL_KILLED_FOLDER";
const STEPS: &str = "GRISTMILL_KILLED_STEPS";
const DEVICE: &str = "GRISTMILL_KILLED_DEVICE";

/// A table of many numbers and a layer over it: little to compute, and a checkpoint of a megabyte.
fn wide() -> Graph {
    let mut random = Random::new(3);
    let mut b = Builder::new("wide");
    let words = b.input("words", DType::I64, &[Dim::Named("n".into())]);
    let y = b.input("y", DType::F32, &[Dim::Named("n".into()), Dim::Known(4)]);
    let table = b.constant("table", random.floats(&[2000, 48]));
    let found = b.node("rows", operators::gather(0), &[Some(table), Some(words)]);
    let weight = b.constant("weight", random.floats(&[48, 4]));
    let found = b.node("found", operators::matmul(), &[Some(found), Some(weight)]);
    let loss = train::mean_squared_error(&mut b, "loss", [found, y], LossReduction::Mean).expect("a loss");
    b.output("loss", loss).expect("the name is free");
    b.finish().expect("a valid graph")
}

#[test]
#[ignore = "the other process of the tests in this file"]
fn training_of_a_run_that_is_killed() {
    let (Ok(folder), Ok(steps)) = (std::env::var(FOLDER), std::env::var(STEPS)) else { return };
    let options = StepOptions { seed: 5, ..StepOptions::new("loss", train::parameters(&wide(), "loss"), Adam::decoupled()) };
    let on_device = std::env::var_os(DEVICE).is_some();
    let step = if on_device { Step::new(gpu(), &wide(), options) } else { Step::cpu(&wide(), options) }.expect("a step");
    let mut random = Random::new(4);
    let inputs = vec![("words".into(), random.integers(DType::I64, &[70], 0, 2000)), ("y".into(), random.floats(&[70, 4]))];
    let shuffled = LoaderOptions { shuffle: true, seed: 2, ..LoaderOptions::new(8) };
    let mut data = Loader::new(Examples::new(inputs).expect("examples"), shuffled).expect("a loader");
    let mut options = FitOptions {
        folder: Some(CheckpointFolder::new(&folder, 2)),
        resume: true,
        save_every: 1,
        ..FitOptions::new(steps.parse().expect("a number"))
    };
    Trainer::new(step).fit_blocking(&mut data, &mut options, &mut []).expect("a run");
}

fn start(folder: &Path, steps: u64, device: bool) -> Child {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", "--ignored", "training::killed::training_of_a_run_that_is_killed"]);
    command.env(FOLDER, folder).env(STEPS, steps.to_string()).stdout(Stdio::null()).stderr(Stdio::null());
    if device {
        command.env(DEVICE, "1");
    }
    command.spawn().expect("it starts")
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// Ends a run so many times once it has saved something, and lets it come to its end.
fn killed(folder: &Path, kills: usize, steps: u64, device: bool) -> usize {
    let (mut random, mut half) = (Random::new(kills as u64 + 7), 0);
    for number in 0..kills {
        let before = names(folder);
        let mut child = start(folder, steps, device);
        let begun = Instant::now();
        while names(folder) == before {
            assert!(child.try_wait().expect("it is ours").is_none(), "the run came to its end before it was ended {number} times");
            assert!(begun.elapsed() < Duration::from_secs(120), "nothing is saved");
            std::thread::sleep(Duration::from_millis(1));
        }
        let wait = random.integers(DType::I64, &[1], 0, 40_000).to_f64()[0];
        std::thread::sleep(Duration::from_micros(wait as u64));
        assert!(child.try_wait().expect("it is ours").is_none(), "the run came to its end before it was ended {number} times");
        child.kill().expect("it is ours");
        child.wait().expect("it is ours");
        half += usize::from(names(folder).iter().any(|name| name.ends_with(".new")));
    }
    assert!(start(folder, steps, device).wait().expect("it is ours").success());
    half
}

fn last(folder: &Path) -> Vec<u8> {
    let (path, _) = CheckpointFolder::new(folder, 2).latest().expect("it is read").expect("it is there");
    fs::read(path).expect("it is read")
}

fn ends_alike(kills: usize, steps: u64, device: bool) {
    let (whole, broken) = (Folder::new(), Folder::new());
    assert!(start(&whole.0, steps, device).wait().expect("it is ours").success());
    let half = killed(&broken.0, kills, steps, device);
    println!("{kills} runs were ended, {half} of them while they saved");
    assert!(last(&whole.0) == last(&broken.0), "the bytes differ");
    assert_eq!(names(&broken.0).len(), 2, "what was left of unfinished saves is gone: {:?}", names(&broken.0));
}

#[test]
fn training_that_is_killed_ends_in_the_same_bytes() {
    ends_alike(3, 120, false);
}

#[test]
#[ignore = "it takes minutes: scripts/test-killed runs it"]
fn training_that_is_killed_twenty_times_ends_in_the_same_bytes() {
    ends_alike(20, 1500, false);
    ends_alike(20, 1500, true);
}
