//! Ten times more load than the server can carry.

use super::load::{by_the_clock, count, in_turns, quantile, resident, zeros};
use crate::repositories::{empty, models, put};
use crate::support::ready;
use serde_json::json;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

const MODEL: &str = "cvt_tiny";

#[test]
#[ignore = "takes two minutes and measures time"]
fn ten_times_what_it_can_carry() {
    let repository = empty("overload");
    let model = fs::read(models().join(MODEL).join("model.onnx")).expect("it is there");
    // Whoever is taken waits for few others.
    put(&repository, MODEL, &model, "[batching]\nrows = [1]\n[queue]\nmax_requests = 2\n");
    let server = ready(&repository, |_| {});
    let request = zeros(&server, MODEL);
    in_turns(server.http, &request, 1, Duration::from_secs(2));
    let duration = Duration::from_secs(10);
    let capacity = count(&in_turns(server.http, &request, 2, duration), 200) as f64 / duration.as_secs_f64();
    let half = by_the_clock(server.http, &request, capacity / 2.0, Duration::from_secs(30), 32);
    let before = answered(&server.get("/metrics").text());
    let memory = thread::spawn(|| {
        let start = Instant::now();
        let mut seen = vec![];
        while start.elapsed() < Duration::from_secs(58) {
            seen.push(resident());
            thread::sleep(Duration::from_secs(1));
        }
        seen
    });
    let over = by_the_clock(server.http, &request, capacity * 10.0, Duration::from_secs(60), 64);
    let memory = memory.join().expect("it looks");
    // Each request has one answer, and the server has given no other.
    assert_eq!(count(&over, 200) + count(&over, 429), over.len());
    assert_eq!(answered(&server.get("/metrics").text()) - before, over.len() as u64);
    assert_eq!(server.gauge("gristmill_queue_requests"), 0);
    let ratio = quantile(&over, 200, 0.99) / quantile(&half, 200, 0.99);
    println!(
        "{}",
        json!({
            "what": "ten times more load than it can carry, 60 s", "model": MODEL, "capacity_per_second": capacity,
            "requests": over.len(), "accepted": count(&over, 200), "refused": count(&over, 429),
            "half_load_refused": count(&half, 429), "half_load_p99_ms": quantile(&half, 200, 0.99),
            "accepted_p50_ms": quantile(&over, 200, 0.5), "accepted_p99_ms": quantile(&over, 200, 0.99), "accepted_ratio": ratio,
            "refused_p50_ms": quantile(&over, 429, 0.5), "refused_p99_ms": quantile(&over, 429, 0.99),
            "memory_mib": [memory[5], memory[memory.len() / 2], memory[memory.len() - 1]],
            "met": ratio <= 1.5 && quantile(&over, 429, 0.99) <= 100.0,
        })
    );
}

/// Requests of the model that were answered, by whatever code.
fn answered(metrics: &str) -> u64 {
    let label = format!("model=\"{MODEL}\"");
    let lines = metrics.lines().filter(|line| line.starts_with("gristmill_requests_total{") && line.contains(&label));
    lines.map(|line| line.rsplit(' ').next().and_then(|number| number.parse::<u64>().ok()).expect("a number")).sum()
}
