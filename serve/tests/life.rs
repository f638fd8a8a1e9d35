//! From the start to the end: models that come, change and go, and requests meanwhile.

use crate::client::{post, post_json};
use crate::repositories::{doubling, empty, put, times};
use crate::support::{Running, ready, start, until};
use serde_json::{Value, json};
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::spawn;
use std::time::Duration;

const INFER: &str = "/v2/models/double/infer";

fn body(value: f32) -> Value {
    json!({"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [value, value]}]})
}

fn index(server: &Running) -> Vec<Value> {
    post(server.http, "/v2/repository/index", &[], b"").json().as_array().expect("a list").clone()
}

fn factor(server: &Running) -> Option<f64> {
    let answer = post_json(server.http, INFER, &body(1.0));
    (answer.status == 200).then(|| answer.json()["outputs"][0]["data"][0].as_f64().expect("a number"))
}

#[test]
fn a_model_that_does_not_load_keeps_none_from_serving() {
    let repository = doubling("broken", "");
    put(&repository, "torn", b"no model", "");
    put(&repository, "odd", &times(1.0, 2), "rows = 3");
    put(&repository, "cold", &times(1.0, 2), "[[warm]]\nx = [1, 3]\n");
    put(&repository, "twice", &times(1.0, 2), "");
    fs::create_dir_all(repository.join("twice/1")).expect("it can be made");
    fs::write(repository.join("twice/1/model.onnx"), times(1.0, 2)).expect("it can be written");
    fs::create_dir_all(repository.join("nothing")).expect("it can be made");
    let server = ready(&repository, |_| {});
    assert_eq!(factor(&server), Some(2.0));
    let lines = index(&server);
    let reason = |name: &str| {
        let line = lines.iter().find(|line| line["name"] == name).unwrap_or_else(|| panic!("{name} is listed"));
        assert_eq!(line["state"], "UNAVAILABLE");
        line["reason"].as_str().expect("a reason").to_string()
    };
    assert!(reason("odd").contains("model.toml"), "{}", reason("odd"));
    assert!(reason("cold").contains("warming up"), "{}", reason("cold"));
    assert!(reason("twice").contains("version 1 stands there twice"), "{}", reason("twice"));
    assert!(!reason("torn").is_empty());
    assert_eq!(lines.len(), 5);
    let answer = post_json(server.http, "/v2/models/torn/infer", &body(1.0));
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(server.get("/v2/models/torn/ready").status, 503);
    assert_eq!(server.get("/v2/models/nothing/ready").status, 404);
}

#[test]
fn models_are_loaded_and_unloaded() {
    let repository = empty("loading");
    let server = ready(&repository, |_| {});
    let load = |path: &str| post(server.http, &format!("/v2/repository/models/{path}"), &[], b"").status;
    assert_eq!(load("double/load"), 404);
    put(&repository, "double", &times(2.0, 2), "");
    assert_eq!(load("double/load"), 200);
    assert_eq!(factor(&server), Some(2.0));
    // The newest version is served.
    let two = repository.join("versions/2");
    for (number, folder) in [(5.0, &repository.join("versions/1")), (6.0, &two)] {
        fs::create_dir_all(folder).expect("it can be made");
        fs::write(folder.join("model.onnx"), times(number, 2)).expect("it can be written");
    }
    assert_eq!(post(server.http, "/v2/repository/refresh", &[], b"").status, 200);
    assert_eq!(server.get("/v2/models/versions").json()["versions"], json!(["2"]));
    assert_eq!(load("double/unload"), 200);
    assert_eq!((factor(&server), server.get("/v2/models/double/ready").status), (None, 503));
    assert_eq!(load("other/unload"), 404);
    assert_eq!(load("double/load"), 200);
    // One that does not load leaves the old one in its place, and says why.
    put(&repository, "double", b"no model", "");
    assert_eq!(load("double/load"), 400);
    assert_eq!(factor(&server), Some(2.0));
    assert!(index(&server).iter().any(|line| line["state"] == "READY" && line["reason"] != ""));
    fs::remove_dir_all(repository.join("double")).expect("it can be removed");
    assert_eq!(post(server.http, "/v2/repository/refresh", &[], b"").status, 200);
    assert_eq!(server.get("/v2/models/double").status, 404);
}

#[test]
fn the_repository_is_looked_at_for_changes() {
    let repository = doubling("polled", "");
    let server = ready(&repository, |settings| settings.poll = Some(Duration::from_millis(50)));
    put(&repository, "double", &times(7.0, 2), "# changed\n");
    until(|| factor(&server) == Some(7.0));
}

#[test]
fn models_are_reloaded_under_load_and_no_request_is_lost() {
    let repository = doubling("reloaded", "");
    let server = ready(&repository, |_| {});
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let askers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut answers = 0;
                    while !done.load(Ordering::Relaxed) || answers == 0 {
                        let answer = post_json(server.http, INFER, &body(1.0));
                        assert_eq!(answer.status, 200, "{}", answer.text());
                        let found = answer.json()["outputs"][0]["data"][0].as_f64().expect("a number");
                        assert!([2.0, 3.0].contains(&found), "{found} is of no model that was there");
                        answers += 1;
                    }
                })
            })
            .collect();
        for round in 0..20 {
            put(&repository, "double", &times([3.0, 2.0][round % 2], 2), "");
            assert_eq!(post(server.http, "/v2/repository/models/double/load", &[], b"").status, 200);
            assert_eq!(factor(&server), Some([3.0, 2.0][round % 2]));
        }
        done.store(true, Ordering::Relaxed);
        askers.into_iter().for_each(|asker| asker.join().expect("no request is lost"));
    });
}

#[test]
fn at_the_end_nothing_that_was_taken_is_lost() {
    let slow = "[batching]\nrows = [1, 64]\ndelay_ms = 60000\n";
    let mut server = ready(&doubling("drained", slow), |settings| settings.drain_delay = Duration::from_millis(400));
    let address = server.http;
    let asked: Vec<_> = (0..6).map(|k| spawn(move || post_json(address, INFER, &body(k as f32)))).collect();
    until(|| server.gauge("gristmill_queue_requests") == 6);
    server.begin_end();
    // Not ready at once, and still there for those who do not know it yet.
    until(|| server.get("/v2/health/ready").status != 200);
    let late = post_json(address, INFER, &body(9.0));
    assert_eq!((late.status, late.header("connection")), (200, Some("close")));
    for (k, asked) in asked.into_iter().enumerate() {
        let answer = asked.join().expect("it is answered");
        assert_eq!(answer.json()["outputs"][0]["data"], json!([2.0 * k as f32, 2.0 * k as f32]));
    }
    assert_eq!(server.join(), Ok(()));
    assert!(std::net::TcpStream::connect(address).is_err(), "nobody listens any more");
}

#[test]
fn a_repository_that_is_not_there_ends_the_server() {
    let mut server = start(&empty("gone").join("nowhere"), |_| {});
    let failure = server.join().expect_err("there is nothing to serve");
    assert!(failure.contains("cannot list the model repository"), "{failure}");
}
