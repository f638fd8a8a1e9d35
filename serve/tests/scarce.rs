//! A device whose memory does not suffice for a batch. The address space of a process of its own is bounded for that once the model is warm: a
//! software device takes its memory from there.

use crate::client::post_json;
use crate::repositories::{empty, put, widening};
use crate::support::{gpu, ready_on};
use serde_json::{Value, json};
use std::process::Command;

/// Elements that the model makes of one.
const WIDTH: usize = 1 << 20;
const ROWS: usize = 16;
/// What may be taken beyond what a warm server holds: enough for eight rows, and not for sixteen.
const SPARE: usize = 12 * WIDTH * size_of::<f32>();

#[test]
#[ignore = "the other process of a_batch_without_memory_is_computed_in_parts"]
fn a_server_without_memory() {
    let repository = empty("scarce");
    // One row alone is warm; all requests come before the first batch is due.
    let config = "warm = [{ x = [1, 1] }]\n[batching]\nrows = [1, 8, 16]\ndelay_ms = 1000\n";
    put(&repository, "wide", &widening(WIDTH), config);
    let server = ready_on(&repository, gpu());
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux says it");
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")).expect("it is there").trim().trim_end_matches(" kB");
    let bound = size.parse::<usize>().expect("a number") * 1024 + SPARE;
    let limited = Command::new("prlimit").args(["--pid", &std::process::id().to_string(), &format!("--as={bound}")]).status();
    assert!(limited.expect("util-linux has it").success());
    let ask = |value: f32| {
        let input = json!({"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [value]});
        post_json(server.http, "/v2/models/wide/infer", &json!({"inputs": [input]}))
    };
    std::thread::scope(|scope| {
        let answers: Vec<_> = (0..ROWS).map(|row| scope.spawn(move || ask(row as f32))).collect();
        for (row, answer) in answers.into_iter().enumerate() {
            let answer = answer.join().expect("it is answered");
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(answer.json()["outputs"][0]["data"], json!([row as f32 * 2.0]));
        }
    });
    let statistics = server.statistics("wide");
    let sizes: Vec<&Value> = statistics["batch_stats"].as_array().expect("a list").iter().map(|batch| &batch["batch_size"]).collect();
    assert_eq!(sizes, [8], "{statistics}");
    assert_eq!(statistics["inference_stats"]["fail"]["count"], 0);
}

#[test]
fn a_batch_without_memory_is_computed_in_parts() {
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "--ignored", "scarce::a_server_without_memory"])
        .output()
        .expect("it starts");
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8_lossy(&told);
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
}
