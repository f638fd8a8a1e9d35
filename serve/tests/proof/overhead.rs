//! What the protocol takes on top of the engine.

use super::load::{in_turns, quantile, zeros};
use crate::repositories::{empty, models, put};
use crate::support::{gpu, ready};
use gristmill::{DType, Model, Options, Session, Tensor, TensorType, TensorView};
use serde_json::json;
use std::fs;
use std::time::{Duration, Instant};

#[test]
#[ignore = "measures time"]
fn one_client_beside_the_engine_itself() {
    for name in ["digit_cnn", "g2p_en_encoder", "bert_tiny"] {
        let path = models().join(name).join("model.onnx");
        let repository = empty("overhead");
        put(&repository, name, &fs::read(&path).expect("it is there"), "");
        let server = ready(&repository, |_| {});
        let request = zeros(&server, name);
        let described = server.get(&format!("/v2/models/{name}")).json();
        let model = Model::load(&path).expect("a model");
        let session = Session::new_blocking(&gpu(), &model, Options::default()).expect("a session");
        let inputs: Vec<(String, Tensor)> = described["inputs"].as_array().expect("inputs").iter().map(zero).collect();
        let inputs: Vec<(&str, TensorView<'_>)> = inputs.iter().map(|(name, tensor)| (name.as_str(), tensor.view())).collect();
        let alone = || {
            let mut times: Vec<f64> = (0..200)
                .map(|_| {
                    let start = Instant::now();
                    session.run_blocking(&inputs).expect("a run");
                    start.elapsed().as_secs_f64() * 1e3
                })
                .collect();
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        };
        alone();
        in_turns(server.http, &request, 1, Duration::from_secs(1));
        // By turns, the least of both.
        let (mut engine, mut served) = (f64::INFINITY, f64::INFINITY);
        for _ in 0..5 {
            engine = engine.min(alone());
            served = served.min(quantile(&in_turns(server.http, &request, 1, Duration::from_secs(2)), 200, 0.5));
        }
        let extra = served - engine;
        let line = json!({"what": "HTTP on top of the engine, one client, p50", "model": name, "engine_ms": engine, "served_ms": served, "extra_ms": extra, "met": extra <= 1.0});
        println!("{line}");
    }
}

fn zero(input: &serde_json::Value) -> (String, Tensor) {
    let extents = input["shape"].as_array().expect("a shape").iter();
    let shape: Vec<usize> = extents.map(|extent| extent.as_i64().expect("an extent").max(1) as usize).collect();
    let dtype = match input["datatype"].as_str().expect("a type") {
        "INT64" => DType::I64,
        _ => DType::F32,
    };
    (input["name"].as_str().expect("a name").into(), Tensor::zeros(TensorType::new(dtype, shape)))
}
