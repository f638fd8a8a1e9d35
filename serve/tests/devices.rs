//! Devices: which of them a model runs on, and what happens when one is lost.

use crate::client::{post, post_json};
use crate::repositories::{doubling, put, times};
use crate::support::{Running, gpu, ready, ready_on, until};
use gristmill::{Gpu, Power};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

fn ask(server: &Running, model: &str, value: f32) -> Value {
    let input = json!({"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [value, value]});
    let answer = post_json(server.http, &format!("/v2/models/{model}/infer"), &json!({"inputs": [input]}));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["outputs"][0]["data"].clone()
}

fn own() -> Gpu {
    Gpu::new_blocking(Power::High).expect("the tests need an adapter")
}

#[test]
fn no_request_is_lost_with_a_device() {
    let device = own();
    let repository = doubling("lost", "");
    put(&repository, "triple", &times(3.0, 2), "instances = 2\n");
    put(&repository, "idle", &times(1.0, 2), "");
    let server = ready_on(&repository, device.clone());
    let (answered, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for (model, factor) in [("double", 2.0), ("double", 2.0), ("triple", 3.0), ("triple", 3.0)] {
            let (server, answered, done) = (&server, &answered, &done);
            scope.spawn(move || {
                let mut value = 1.0f32;
                while !done.load(Ordering::Relaxed) {
                    assert_eq!(ask(server, model, value), json!([factor * value, factor * value]));
                    answered.fetch_add(1, Ordering::Relaxed);
                    value += 1.0;
                }
            });
        }
        until(|| answered.load(Ordering::Relaxed) >= 40);
        device.device().destroy();
        let before = answered.load(Ordering::Relaxed);
        until(|| answered.load(Ordering::Relaxed) >= before + 80);
        // Also the model that nobody asked anything has a device again.
        until(|| server.get("/v2/health/ready").status == 200);
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(ask(&server, "idle", 5.0), json!([5.0, 5.0]));
    for model in ["double", "triple"] {
        assert_eq!(server.statistics(model)["inference_stats"]["fail"]["count"], 0);
    }
}

#[test]
fn a_server_is_not_ready_until_its_device_is_there_again() {
    let device = own();
    let server = ready_on(&doubling("reopened", ""), device.clone());
    assert_eq!(server.get("/v2/models/double/ready").status, 200);
    device.device().destroy();
    assert_eq!(server.get("/v2/models/double/ready").status, 503);
    assert_eq!(server.get("/v2/health/ready").status, 503);
    // Asking is enough for it to be opened.
    until(|| server.get("/v2/health/ready").status == 200);
    assert_eq!(server.get("/v2/models/double/ready").status, 200);
    assert_eq!(ask(&server, "double", 4.0), json!([8.0, 8.0]));
}

#[test]
fn models_run_where_they_ask_to() {
    let repository = doubling("placed", "device = \"cpu\"\ninstances = 2\n");
    put(&repository, "named", &times(3.0, 2), &format!("device = {:?}\n", gpu().caps().name));
    put(&repository, "first", &times(4.0, 2), "device = 0\n");
    put(&repository, "nowhere", &times(1.0, 2), "device = \"no such adapter\"\n");
    let server = ready(&repository, |_| {});
    std::thread::scope(|scope| {
        for (model, factor) in [("double", 2.0), ("named", 3.0), ("first", 4.0), ("double", 2.0)] {
            let server = &server;
            scope.spawn(move || {
                (1..20)
                    .for_each(|k| assert_eq!(ask(server, model, k as f32), json!([factor * f64::from(k), factor * f64::from(k)])))
            });
        }
    });
    let index = post(server.http, "/v2/repository/index", &[], b"").text();
    assert!(index.contains("expected an adapter named like `no such adapter`"), "{index}");
    assert_eq!(server.get("/v2/models/double/config").json()["gristmill"]["device"], "cpu");
}
