//! What joining requests gains.

use super::load::{count, in_turns, zeros};
use crate::repositories::{empty, models, put};
use crate::support::{Running, ready};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use std::{env, fs};

const DURATION: Duration = Duration::from_secs(10);

#[test]
#[ignore = "takes two minutes and measures time"]
fn sixteen_clients_with_and_without_batches() {
    for name in ["bert_tiny", "g2p_en_encoder", "digit_cnn"] {
        // The project's own export of bert_tiny has two rows; `open_batch.py` makes another.
        let opened = env::var("PROOF_MODELS").ok().map(|folder| Path::new(&folder).join(name)).filter(|folder| folder.is_dir());
        let folder = opened.unwrap_or_else(|| models().join(name));
        let model = fs::read(folder.join("model.onnx")).expect("it is there");
        let repository = empty("batching");
        put(&repository, "single", &model, "[batching]\nrows = [1]\n");
        put(&repository, "joined", &model, "[batching]\nrows = [1, 2, 4, 8, 16]\n");
        put(&repository, "delayed", &model, "[batching]\nrows = [1, 2, 4, 8, 16]\ndelay_ms = 2\n");
        let server = ready(&repository, |_| {});
        let mut rates = [0.0f64; 3];
        for (rate, way) in rates.iter_mut().zip(["single", "joined", "delayed"]) {
            let request = zeros(&server, way);
            // Plans of all numbers of rows first.
            (1..=16).for_each(|clients| drop(in_turns(server.http, &request, clients, Duration::from_millis(300))));
            *rate = count(&in_turns(server.http, &request, 16, DURATION), 200) as f64 / DURATION.as_secs_f64();
        }
        let [single, joined, delayed] = rates;
        let times = joined.max(delayed) / single;
        let line = json!({"what": "throughput by batching, 16 clients", "model": name, "single_per_second": single,
            "joined_per_second": joined, "joined": batches(&server, "joined"), "with_delay_per_second": delayed,
            "with_delay": batches(&server, "delayed"), "times": times, "met": times >= 4.0});
        println!("{line}");
    }
}

/// Rows of a batch on average, and how many milliseconds the engine took for each number of rows.
fn batches(server: &Running, model: &str) -> Value {
    let statistics = server.statistics(model);
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    let rows = number(&statistics["inference_count"]) / number(&statistics["execution_count"]);
    let of = |batch: &Value| {
        let taken = &batch["compute_infer"];
        json!([batch["batch_size"], taken["count"], number(&taken["ns"]) / number(&taken["count"]) / 1e6])
    };
    let all: Vec<Value> = statistics["batch_stats"].as_array().expect("a list").iter().map(of).collect();
    json!({"rows": rows, "rows_count_milliseconds": all})
}
