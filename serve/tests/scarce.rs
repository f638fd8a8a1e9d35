//! A device whose memory does not suffice for a batch. The address space of a process of its own is bounded for that once the model is warm: a
//! software device takes its memory from there.

use crate::client::post_json;
use crate::repositories::{empty, put, widening};
use crate::support::{gpu, ready_on};
use serde_json::json;
use std::process::Command;

/// Elements that the model makes of one; four rows of them are as much as a software adapter binds.
const WIDTH: usize = 8 << 20;
const ROWS: usize = 4;
/// Bytes that may be taken beyond what a warm server holds: of a batch, the model takes 96 MiB for each row.
const SPARE: usize = 320 << 20;

/// Names the bytes, for the other process; without it, all memory may be taken.
const VARIABLE: &str = "GRISTMILL_TEST_SPARE";

#[test]
#[ignore = "the other process of a_batch_without_memory_is_computed_in_parts"]
fn a_server_without_memory() {
    let spare: Option<usize> = std::env::var(VARIABLE).ok().map(|spare| spare.parse().expect("a number"));
    let repository = empty("scarce");
    // One row alone is warm; all requests come before the first batch is due.
    let config = "warm = [{ x = [1, 1] }]\n[batching]\nrows = [1, 2, 4]\ndelay_ms = 1000\n";
    put(&repository, "wide", &widening(WIDTH), config);
    let server = ready_on(&repository, gpu());
    if let Some(spare) = spare {
        let status = std::fs::read_to_string("/proc/self/status").expect("Linux says it");
        let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")).expect("it is there");
        let size = size.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") * 1024;
        let arguments = ["--pid".to_string(), std::process::id().to_string(), format!("--as={}", size + spare)];
        assert!(Command::new("prlimit").args(arguments).status().expect("util-linux has it").success());
    }
    let ask = |value: f32| {
        let input = json!({"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [value]});
        post_json(server.http, "/v2/models/wide/infer", &json!({"inputs": [input]}))
    };
    std::thread::scope(|scope| {
        let answers: Vec<_> = (0..ROWS).map(|row| scope.spawn(move || ask(row as f32))).collect();
        for (row, answer) in answers.into_iter().enumerate() {
            let answer = answer.join().expect("it is answered");
            assert_eq!(answer.status, 200, "{}", answer.text());
            let found = answer.json()["outputs"][0]["data"][0].as_f64().expect("a number");
            assert!((found - row as f64).abs() < 1e-3, "{found} of {row}");
        }
    });
    let statistics = server.statistics("wide");
    let sizes: Vec<u64> =
        statistics["batch_stats"].as_array().expect("a list").iter().filter_map(|batch| batch["batch_size"].as_u64()).collect();
    assert_eq!(sizes.contains(&(ROWS as u64)), spare.is_none(), "{statistics}");
    assert_eq!(statistics["inference_stats"]["fail"]["count"], 0);
}

#[test]
fn a_batch_without_memory_is_computed_in_parts() {
    for spare in [None, Some(SPARE)] {
        let mut other = Command::new(std::env::current_exe().expect("this program"));
        other.args(["--exact", "--ignored", "scarce::a_server_without_memory"]);
        other.envs(spare.map(|spare| (VARIABLE, spare.to_string())));
        let output = other.output().expect("it starts");
        let told = [output.stdout, output.stderr].concat();
        let told = String::from_utf8_lossy(&told);
        assert!(output.status.success() && told.contains("1 passed"), "{told}");
    }
}
