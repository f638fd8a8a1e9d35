//! What joining requests gains.

use super::load::{count, in_turns, zeros};
use crate::repositories::{empty, models, put};
use crate::support::ready;
use serde_json::json;
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
        let server = ready(&repository, |_| {});
        let mut rates = [0.0f64; 2];
        for (rate, way) in rates.iter_mut().zip(["single", "joined"]) {
            let request = zeros(&server, way);
            // Plans of all numbers of rows first.
            (1..=16).for_each(|clients| drop(in_turns(server.http, &request, clients, Duration::from_millis(300))));
            *rate = count(&in_turns(server.http, &request, 16, DURATION), 200) as f64 / DURATION.as_secs_f64();
        }
        let statistics = server.statistics("joined");
        let rows = statistics["inference_count"].as_f64().unwrap_or(0.0) / statistics["execution_count"].as_f64().unwrap_or(1.0);
        let (times, [single, joined]) = (rates[1] / rates[0], rates);
        println!(
            "{}",
            json!({"what": "throughput by batching, 16 clients", "model": name, "single_per_second": single, "joined_per_second": joined,
                   "times": times, "rows_of_a_batch": rows, "met": times >= 4.0})
        );
    }
}
