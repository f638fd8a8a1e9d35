//! Logs of runs, and the curves that are drawn of them.

use super::fitting::{data, fit_options, trainer};
use super::saving::Folder;
use gristmill::ErrorKind;
use gristmill::train::{Callback, FitOptions, JsonLines, LossCurve};
use serde_json::Value as Json;
use std::fs;
use std::io::Write;
use std::path::Path;

/// Runs up to a step, from the last checkpoint on, with its log at the end of a file.
fn run(place: &Path, log: &Path, steps: u64) -> Option<u64> {
    let mut options = FitOptions { log_every: 1, ..fit_options(steps, place) };
    let mut lines = JsonLines::append(log).expect("a log");
    let fit = trainer(false, 1, 1).fit_blocking(&mut data(), &mut options, &mut [&mut lines]).expect("a run");
    fit.resumed
}

fn lines(log: &Path) -> Vec<Json> {
    let text = fs::read_to_string(log).expect("a log");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn training_appends_to_the_log_of_a_run_that_goes_on() {
    let place = Folder::new();
    fs::create_dir_all(&place.0).expect("a folder");
    let (broken, whole) = (place.0.join("broken.jsonl"), place.0.join("whole.jsonl"));
    // The step of an evaluation, as a run also evaluates where it was to end.
    assert_eq!(run(&place.0.join("broken"), &broken, 8), None);
    // A process that was ended while it wrote.
    let mut file = fs::OpenOptions::new().append(true).open(&broken).expect("a log");
    file.write_all(br#"{"event":"step","step":9,"lo"#).expect("it is written");
    drop(file);
    assert_eq!(run(&place.0.join("broken"), &broken, 9), Some(8));
    assert_eq!(run(&place.0.join("whole"), &whole, 9), None);
    let steps = |lines: &[Json]| -> Vec<u64> {
        lines.iter().filter(|line| line["event"] == "step").map(|line| line["step"].as_u64().expect("a step")).collect()
    };
    let (broken_lines, whole_lines) = (lines(&broken), lines(&whole));
    assert_eq!(steps(&broken_lines), (1..=9).collect::<Vec<u64>>());
    let first = &whole_lines[0];
    assert!(first["elapsed_seconds"].as_f64().is_some_and(|seconds| seconds > 0.0), "{first}");
    assert!(first["steps_per_second"].as_f64().is_some_and(|steps| steps > 0.0), "{first}");
    // How long it took is the only thing that is not the same.
    let curve = |path: &Path| LossCurve::from_json_lines(&fs::read_to_string(path).expect("a log")).expect("a curve");
    assert_eq!(curve(&broken), curve(&whole));
    assert_eq!(curve(&broken).to_svg(), curve(&whole).to_svg());
    let mut told = LossCurve::new("");
    let mut options = FitOptions { log_every: 1, ..fit_options(9, &place.0.join("third")) };
    trainer(false, 1, 1).fit_blocking(&mut data(), &mut options, &mut [&mut told]).expect("a run");
    assert_eq!(told, curve(&whole));
}

#[test]
fn training_draws_what_a_log_says_last() {
    let log = "{\"event\":\"step\",\"step\":1,\"loss\":4}\n{\"event\":\"step\",\"step\":2,\"loss\":null}\n\
               {\"event\":\"evaluation\",\"step\":2,\"metrics\":{\"loss\":3,\"a<b\":0.5}}\n{\"event\":\"step\",\"step\":3,\"loss\":9}\n\
               {\"event\":\"checkpoint\",\"step\":2,\"path\":\"x\"}\n{\"event\":\"step\",\"step\":2,\"loss\":2}\n{\"event\":\"st";
    let mut curve = LossCurve::from_json_lines(log).expect("a curve");
    assert_eq!(curve.losses(), [(1, 4.0), (2, 2.0)], "the run went back to step 1");
    curve.evaluated(4, &[("loss".into(), f64::NAN)]).expect("it is noted");
    assert_eq!(curve.metrics()[1].1.len(), 2);
    curve.title = "R&D".into();
    let svg = curve.to_svg();
    for word in ["a&lt;b", "R&amp;D", "prefers-color-scheme:dark", "training loss 2", "evaluation loss", ">step<", ">4<"] {
        assert!(svg.contains(word), "{word}: {svg}");
    }
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    for nothing in [LossCurve::new(""), LossCurve::from_json_lines("").expect("none")] {
        assert!(nothing.to_svg().ends_with("</svg>\n") && !nothing.to_svg().contains("NaN"));
    }
    for (wrong, number) in
        [("{\"event\":\"step\",\"step\":1,\"loss\":4}\nnonsense\n", "line 2"), ("{\"event\":\"step\"}\n", "line 1")]
    {
        let error = LossCurve::from_json_lines(wrong).expect_err("no log");
        assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().contains(number), "{error}");
    }
}

#[test]
fn training_curves_of_many_steps_stay_small() {
    let mut log = String::new();
    for step in 1..=50_000u64 {
        let loss = 2.0 * (-(step as f64) / 9e3).exp() + 0.01 + ((step * 7919) % 100) as f64 * 1e-4;
        log += &format!("{{\"event\":\"step\",\"step\":{step},\"loss\":{loss}}}\n");
    }
    let curve = LossCurve::from_json_lines(&log).expect("a curve");
    assert_eq!(curve.losses().len(), 50_000);
    let svg = curve.to_svg();
    assert!(svg.len() < 30_000 && svg.contains("logarithmic") && svg.contains(">50k<"), "{} bytes", svg.len());
    let place = Folder::new();
    fs::create_dir_all(&place.0).expect("a folder");
    let path = place.0.join("curve.svg");
    curve.save(&path).expect("it is written");
    assert_eq!(fs::read_to_string(&path).expect("it is there"), svg);
    let error = curve.save(place.0.join("nowhere/curve.svg")).expect_err("no folder");
    assert!(error.kind() == ErrorKind::Io && error.to_string().contains("nowhere"), "{error}");
}
