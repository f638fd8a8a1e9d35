//! Clients that leave at random moments.

use super::load::{Random, kept, resident};
use crate::client::send;
use crate::repositories::{doubling, put, times};
use crate::support::{Running, ready, until};
use serde_json::json;
use std::thread;
use std::time::Duration;

const CLIENTS: usize = 10_000;
const THREADS: usize = 8;

/// Sends requests, parts of them too, and leaves within some milliseconds.
fn leave(server: &Running, model: &str, count: usize) {
    let input = json!({"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]});
    let request = kept(&format!("/v2/models/{model}/infer"), &[], json!({"inputs": [input]}).to_string().as_bytes());
    thread::scope(|scope| {
        for seed in 0..THREADS {
            let request = &request;
            scope.spawn(move || {
                let mut random = Random::new(seed as u64 * 7919 + 3);
                for _ in 0..count / THREADS {
                    let whole = random.below(4) > 0;
                    let end = if whole { request.len() } else { random.below(request.len()) };
                    let stream = send(server.http, &request[..end]);
                    thread::sleep(Duration::from_micros(random.below(4_000) as u64));
                    drop(stream);
                }
            });
        }
    });
}

#[test]
#[ignore = "takes a minute"]
fn nothing_is_computed_for_ten_thousand_that_left() {
    // Of the one model nothing is ever due; the other computes at once, so that some leave while they wait and some while they are computed.
    let repository = doubling("leaving", "[batching]\nrows = [1, 4096]\ndelay_ms = 4000000\n[queue]\nmax_requests = 100\n");
    put(&repository, "prompt", &times(2.0, 2), "");
    let server = ready(&repository, |settings| settings.max_connections = 100);
    leave(&server, "prompt", 800);
    let before = resident();
    leave(&server, "double", CLIENTS / 2);
    leave(&server, "prompt", CLIENTS / 2);
    until(|| server.gauge("gristmill_queue_requests") == 0 && server.gauge("gristmill_queue_bytes") == 0);
    let computed = |model: &str| server.statistics(model)["execution_count"].as_u64().expect("a number");
    assert_eq!(computed("double"), 0);
    // Nothing of those who left holds a place: as many as may can still come.
    let held: Vec<_> = (0..90).map(|_| send(server.http, b"GET")).collect();
    assert_eq!(server.get("/v2/health/ready").status, 200);
    drop(held);
    let memory = [before, resident()];
    println!(
        "{}",
        json!({"what": "clients that leave", "clients": CLIENTS, "computed_of_prompt": computed("prompt"), "memory_mib": memory})
    );
}
