//! Checkpoints as files: written whole or not at all, the last ones kept, held against the step that goes on from them.

use super::step::{network, options};
use crate::cases::Random;
use gristmill::train::{self, Adam, Checkpoint, CheckpointFolder, Optimizer, Sgd, Step, StepOptions};
use gristmill::{DType, ErrorKind, Tensor};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder that is removed when dropped.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Folder(std::env::temp_dir().join(format!("gristmill-checkpoints-{}-{number}", std::process::id())))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The names of a folder's files.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("it can be listed").flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

fn checkpoint(steps: u64, elements: usize) -> Checkpoint {
    Checkpoint { steps, tensors: vec![("weight".into(), Tensor::vector(&vec![steps as f32; elements]))] }
}

fn texts(text: &str) -> Vec<(String, String)> {
    vec![("note".to_string(), text.to_string())]
}

#[test]
fn training_keeps_the_last_checkpoints() {
    let place = Folder::new();
    let folder = CheckpointFolder::new(&place.0, 2);
    assert_eq!(folder.latest().expect("no folder is no checkpoint"), None);
    let paths: Vec<PathBuf> =
        (1..=4).map(|step| folder.save(&checkpoint(step * 5, 8), &texts("kept")).expect("it is saved")).collect();
    assert_eq!(names(&place.0), ["step-000000000015.safetensors", "step-000000000020.safetensors"]);
    let (path, saved) = folder.latest().expect("it is read").expect("it is there");
    assert_eq!((path, saved.checkpoint, saved.metadata), (paths[3].clone(), checkpoint(20, 8), texts("kept")));
    // What a save that never ended leaves, and what is nobody's.
    fs::write(place.0.join("step-000000000025.safetensors.1-1.new"), "half").expect("it is written");
    fs::write(place.0.join("notes.txt"), "notes").expect("it is written");
    assert_eq!(folder.latest().expect("it is read").expect("it is there").1.checkpoint.steps, 20);
    // A run that went back.
    folder.save(&checkpoint(7, 8), &[]).expect("it is saved");
    let kept = ["notes.txt", "step-000000000007.safetensors", "step-000000000015.safetensors", "step-000000000020.safetensors"];
    assert_eq!(names(&place.0), kept);
    let error = CheckpointFolder::new(&place.0, 0).save(&checkpoint(9, 8), &[]).expect_err("none would stay");
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}

#[test]
fn training_skips_checkpoints_that_are_not_whole() {
    crate::support::warnings("");
    let place = Folder::new();
    let folder = CheckpointFolder::new(&place.0, 3);
    let paths: Vec<PathBuf> = (1..=3).map(|step| folder.save(&checkpoint(step, 64), &[]).expect("it is saved")).collect();
    let whole = fs::read(&paths[2]).expect("it is read");
    fs::write(&paths[2], &whole[..whole.len() - 1]).expect("it is written");
    fs::write(&paths[1], &whole[..100]).expect("it is written");
    assert_eq!(folder.latest().expect("one is whole").expect("it is there").1.checkpoint, checkpoint(1, 64));
    let name = paths[2].display().to_string();
    assert_eq!(crate::support::warnings(&name).len(), 1);
    fs::write(&paths[0], []).expect("it is written");
    let error = folder.latest().expect_err("none is whole");
    assert!(error.kind() == ErrorKind::InvalidModel && error.to_string().contains(&name), "{error}");
}

#[test]
fn training_refuses_checkpoints_of_other_networks_by_name() {
    let graph = network();
    let step = |optimizer: Optimizer| Step::cpu(&graph, options(optimizer)).expect("a step");
    let adam = step(Adam::default().into()).checkpoint_blocking().expect("a checkpoint");
    let without = |name: &str| {
        let tensors = adam.tensors.iter().filter(|(known, _)| known != name).cloned().collect();
        Checkpoint { tensors, ..adam.clone() }
    };
    let with = |name: &str, tensor: Tensor| {
        let mut found = without(name);
        found.tensors.push((name.to_string(), tensor));
        found
    };
    let small = || Tensor::vector(&[1.0f32; 4]);
    let twice = Checkpoint { tensors: adam.tensors.iter().chain(&adam.tensors[..1]).cloned().collect(), ..adam.clone() };
    let fewer = StepOptions::new("loss", vec!["fc1.weight".into()], Adam::default());
    let fewer = Step::cpu(&graph, fewer).expect("a step").checkpoint_blocking().expect("a checkpoint");
    let plain = step(Sgd::default().into()).checkpoint_blocking().expect("a checkpoint");
    let cases = [
        (without("fc1.bias"), "`fc1.bias`"),
        (with("fc3.bias", small()), "`fc3.bias`"),
        (with("fc1.bias", small()), "`fc1.bias`"),
        (with("fc1.bias", Tensor::vector(&[1.0f64; 9])), "`fc1.bias`"),
        (with("optimizer.fc1.bias.exp_avg", small()), "`optimizer.fc1.bias.exp_avg`"),
        (twice, adam.tensors[0].0.as_str()),
        (fewer, "fc"),
        (plain, ".exp_avg"),
    ];
    let mut into = step(Adam::default().into());
    let before = into.checkpoint_blocking().expect("a checkpoint");
    for (checkpoint, name) in cases {
        let error = into.restore(&checkpoint).expect_err(name);
        assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().contains(name), "{error}: {name}");
        assert_eq!(into.checkpoint_blocking().expect("a checkpoint"), before);
    }
    let error = step(Sgd::default().into()).restore(&adam).expect_err("of another optimizer");
    assert!(error.to_string().contains("`optimizer.fc"), "{error}");
    into.restore(&adam).expect("it fits");
}

#[test]
fn training_reads_no_other_files_as_checkpoints() {
    let place = Folder::new();
    fs::create_dir_all(&place.0).expect("a folder");
    let path = place.0.join("other.safetensors");
    let file = train::Safetensors { metadata: texts("no checkpoint"), tensors: checkpoint(1, 4).tensors };
    file.write(&mut fs::File::create(&path).expect("a file")).expect("it is written");
    let error = train::load(&path).expect_err("no checkpoint");
    assert!(error.kind() == ErrorKind::InvalidModel && error.to_string().contains("no checkpoint"), "{error}");
    let error = train::load(place.0.join("nothing")).expect_err("no file");
    assert!(error.kind() == ErrorKind::Io && error.to_string().contains("nothing"), "{error}");
    let error = train::save(place.0.join("no folder/file"), &checkpoint(1, 4), &[]).expect_err("no folder");
    assert!(error.kind() == ErrorKind::Io && error.to_string().contains("no folder"), "{error}");
}

const FOLDER: &str = "GRISTMILL_TRAINING_FOLDER";

#[test]
#[ignore = "the other process of training_keeps_the_checkpoint_before_one_that_cannot_be_written"]
fn training_save_past_a_limit() {
    let Some(place) = std::env::var_os(FOLDER) else { return };
    let folder = CheckpointFolder::new(place, 1);
    folder.save(&checkpoint(1, 100), &[]).expect("it is within the limit");
    let error = folder.save(&checkpoint(2, 1 << 20), &[]).expect_err("it is past the limit");
    assert!(error.kind() == ErrorKind::Io && error.to_string().contains("step-000000000002"), "{error}");
}

/// A limit on the length of files fails as a full disk does: in the middle of a write.
#[cfg(unix)]
#[test]
fn training_keeps_the_checkpoint_before_one_that_cannot_be_written() {
    let place = Folder::new();
    let program = std::env::current_exe().expect("this program");
    let script = "trap '' XFSZ; ulimit -f 64; exec \"$@\"";
    let output = std::process::Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(&program)
        .args(["--exact", "--ignored", "training::saving::training_save_past_a_limit"])
        .env(FOLDER, &place.0)
        .output()
        .expect("it starts");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
    assert_eq!(names(&place.0), ["step-000000000001.safetensors"]);
    let (_, saved) = CheckpointFolder::new(&place.0, 1).latest().expect("it is read").expect("it is there");
    assert_eq!(saved.checkpoint, checkpoint(1, 100));
}

#[test]
fn training_finds_every_byte_that_is_not_as_it_was_saved() {
    let place = Folder::new();
    fs::create_dir_all(&place.0).expect("a folder");
    let (good, bad) = (place.0.join("good"), place.0.join("bad"));
    let tensors = vec![("weight".into(), Tensor::new([2, 3], &[0.0f32, -0.0, 1.5, f32::NAN, 1e-42, 3.0]).expect("a tensor"))];
    let held = Checkpoint { steps: 12, tensors };
    train::save(&good, &held, &[("epoch".into(), "1".into()), ("batch".into(), "2".into())]).expect("it is saved");
    let bytes = fs::read(&good).expect("it is read");
    for length in 0..bytes.len() {
        fs::write(&bad, &bytes[..length]).expect("it is written");
        let error = train::load(&bad).expect_err("it is not whole");
        assert!(error.kind() == ErrorKind::InvalidModel && error.to_string().contains("bad"), "{length}: {error}");
    }
    let same = |saved: &train::Saved| {
        let pairs = saved.checkpoint.tensors.iter().zip(&held.tensors);
        saved.checkpoint.steps == 12 && saved.metadata.len() == 2 && pairs.clone().count() == 1 && {
            let mut pairs = pairs;
            pairs.all(|((a, x), (b, y))| a == b && x.ty() == y.ty() && x.bytes() == y.bytes())
        }
    };
    let mut random = Random::new(0xF11);
    for place in 0..bytes.len() {
        let flips = random.integers(DType::I64, &[3], 1, 256).to_f64();
        for flip in flips.into_iter().map(|flip| flip as u8).chain([1, 0x20]) {
            let mut bytes = bytes.clone();
            bytes[place] ^= flip;
            fs::write(&bad, &bytes).expect("it is written");
            match train::load(&bad) {
                Ok(saved) => assert!(same(&saved), "byte {place} ^ {flip:#x} is not found"),
                Err(error) => {
                    assert!(matches!(error.kind(), ErrorKind::InvalidModel | ErrorKind::Limit | ErrorKind::Unsupported), "{error}")
                }
            }
        }
    }
}

#[test]
fn training_skips_checkpoints_whose_numbers_changed_on_the_disk() {
    crate::support::warnings("");
    let place = Folder::new();
    let folder = CheckpointFolder::new(&place.0, 3);
    let paths: Vec<PathBuf> = (1..=2).map(|step| folder.save(&checkpoint(step, 64), &[]).expect("it is saved")).collect();
    let mut bytes = fs::read(&paths[1]).expect("it is read");
    let last = bytes.len() - 2;
    bytes[last] ^= 4;
    fs::write(&paths[1], &bytes).expect("it is written");
    assert_eq!(folder.latest().expect("one is whole").expect("it is there").1.checkpoint, checkpoint(1, 64));
    let warnings = crate::support::warnings(&paths[1].display().to_string());
    assert!(warnings.len() == 1 && warnings[0].contains("checksum"), "{warnings:?}");
}

#[test]
#[ignore = "the other process of training_goes_on_after_a_disk_was_full"]
fn training_on_a_full_disk() {
    let Some(place) = std::env::var_os(FOLDER) else { return };
    let place = PathBuf::from(place);
    let mut options = train::FitOptions { save_every: 1, ..super::fitting::fit_options(6, &place) };
    let error = super::fitting::trainer(false, 1, 1)
        .fit_blocking(&mut super::fitting::data(), &mut options, &mut [])
        .expect_err("nothing can be saved");
    assert!(error.kind() == ErrorKind::Io && error.to_string().contains("step-000000000004"), "{error}");
}

/// A run whose checkpoints cannot be written any more ends with an error that names the file, and goes on from the last whole one.
#[cfg(unix)]
#[test]
fn training_goes_on_after_a_disk_was_full() {
    let (whole, broken) = (Folder::new(), Folder::new());
    let run = |place: &Folder, steps| {
        let mut options = super::fitting::fit_options(steps, &place.0);
        let mut data = super::fitting::data();
        super::fitting::trainer(false, 1, 1).fit_blocking(&mut data, &mut options, &mut []).expect("a run")
    };
    run(&whole, 6);
    run(&broken, 3);
    let output = std::process::Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$@\"", "sh"])
        .arg(std::env::current_exe().expect("this program"))
        .args(["--exact", "--ignored", "training::saving::training_on_a_full_disk"])
        .env(FOLDER, &broken.0)
        .output()
        .expect("it starts");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
    assert_eq!(names(&broken.0), ["step-000000000003.safetensors"]);
    assert_eq!(run(&broken, 6).resumed, Some(3));
    let [a, b] = [&whole, &broken].map(|place| fs::read(place.0.join("step-000000000006.safetensors")).expect("it is read"));
    assert!(a == b, "the bytes differ");
}
