//! Queues: joined, bounded, timed, and left.

use crate::client::{Answer, post, post_json, request, send};
use crate::repositories::{doubling, empty, multiplying, put, times};
use crate::support::{Running, ready, until};
use gristmill::graph::Dim;
use serde_json::{Value, json};
use std::io::Read;
use std::net::SocketAddr;
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};

const INFER: &str = "/v2/models/double/infer";

/// Requests wait for a minute unless they fill a batch of four rows.
const SLOW: &str = "[batching]\nrows = [1, 2, 4]\ndelay_ms = 60000\n";

fn body(value: f32, parameters: Value) -> Value {
    let input = json!({"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [value, -value]});
    json!({"inputs": [input], "parameters": parameters})
}

fn ask(address: SocketAddr, value: f32) -> JoinHandle<Answer> {
    spawn(move || post_json(address, INFER, &body(value, json!({}))))
}

fn waiting(server: &Running, count: i64) {
    until(|| server.gauge("gristmill_queue_requests") == count);
}

#[test]
fn requests_are_joined_and_each_gets_its_own_rows() {
    let server = ready(&doubling("joined", SLOW), |_| {});
    let asked: Vec<_> = (0..8).map(|k| (k, ask(server.http, k as f32))).collect();
    for (k, asked) in asked {
        let answer = asked.join().expect("it is answered").json();
        assert_eq!(answer["outputs"][0]["data"], json!([2.0 * k as f32, -2.0 * k as f32]));
    }
    let statistics = server.statistics("double");
    assert_eq!((&statistics["inference_count"], &statistics["execution_count"]), (&json!(8), &json!(2)));
}

#[test]
fn rows_may_lie_along_any_axis() {
    let repository = empty("columns");
    put(&repository, "columns", &multiplying(3.0, &[Dim::Known(2), Dim::Named("batch".into()), Dim::Known(2)]), SLOW);
    let server = ready(&repository, |_| {});
    let address = server.http;
    let of = |k: i32, rows: i32| (0..4 * rows).map(|element| element + 100 * k).collect::<Vec<i32>>();
    let ask = |k: i32, rows: i32| {
        let input = json!({"name": "x", "shape": [2, rows, 2], "datatype": "FP32", "data": of(k, rows)});
        spawn(move || post_json(address, "/v2/models/columns/infer", &json!({"inputs": [input]})).json())
    };
    let all = |sizes: [i32; 2]| -> Asked {
        sizes.into_iter().enumerate().map(|(k, rows)| (k as i32, rows, ask(k as i32, rows))).collect()
    };
    check(all([1, 3]), of);
    check(all([2, 2]), of);
    // Three rows are filled up to four, when the server ends.
    let asked = all([1, 2]);
    waiting(&server, 2);
    drop(server);
    check(asked, of);
}

/// Requests with their numbers and their rows.
type Asked = Vec<(i32, i32, JoinHandle<Value>)>;

fn check(asked: Asked, of: impl Fn(i32, i32) -> Vec<i32>) {
    for (k, rows, asked) in asked {
        let answer = asked.join().expect("it is answered");
        let expected: Vec<f64> = of(k, rows).into_iter().map(|element| f64::from(element) * 3.0).collect();
        assert_eq!(answer["outputs"][0]["data"], json!(expected), "{answer}");
        assert_eq!(answer["outputs"][0]["shape"], json!([2, rows, 2]));
    }
}

#[test]
fn a_full_queue_refuses_at_once() {
    let server = ready(&doubling("full", &format!("{SLOW}[queue]\nmax_requests = 2\n")), |_| {});
    let asked: Vec<_> = (0..2).map(|k| ask(server.http, k as f32)).collect();
    waiting(&server, 2);
    let start = Instant::now();
    let refused = post_json(server.http, INFER, &body(1.0, json!({})));
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")));
    assert!(refused.error().contains("2 requests wait"), "{}", refused.error());
    drop(server);
    asked.into_iter().for_each(|asked| assert_eq!(asked.join().expect("it is answered").status, 200));
}

#[test]
fn bodies_hold_so_much_memory_and_no_more() {
    let server = ready(&doubling("memory", SLOW), |settings| settings.max_bodies = 300);
    let asked = ask(server.http, 1.0);
    waiting(&server, 1);
    let refused = post(server.http, INFER, &[], &[b' '; 250]);
    assert_eq!(refused.status, 429, "{}", refused.text());
    drop(server);
    assert_eq!(asked.join().expect("it is answered").status, 200);
}

#[test]
fn what_is_late_is_never_computed() {
    let repository = doubling("late", SLOW);
    put(&repository, "hasty", &times(3.0, 2), &format!("{SLOW}[queue]\ntimeout_ms = 30\n"));
    let server = ready(&repository, |_| {});
    let start = Instant::now();
    let late = post_json(server.http, INFER, &body(1.0, json!({"timeout": 50_000})));
    assert_eq!(late.status, 503, "{}", late.text());
    assert!(late.error().contains("deadline"), "{}", late.error());
    assert!((Duration::from_millis(50)..Duration::from_secs(20)).contains(&start.elapsed()));
    let late = post_json(server.http, "/v2/models/hasty/infer", &body(1.0, json!({})));
    assert_eq!(late.status, 503, "the model's own time is over");
    for model in ["double", "hasty"] {
        assert_eq!(server.statistics(model)["execution_count"], json!(0));
    }
    assert_eq!(server.gauge("gristmill_queue_requests"), 0);
}

#[test]
fn clients_that_leave_are_forgotten() {
    // More rows than ever come here: nothing is computed before the end.
    let server = ready(&doubling("left", "[batching]\nrows = [1, 64]\ndelay_ms = 60000\n"), |_| {});
    let bytes = request("POST", INFER, &[], body(1.0, json!({})).to_string().as_bytes());
    for round in 0..10 {
        let mut streams: Vec<_> = (0..3).map(|_| send(server.http, &bytes)).collect();
        if round % 2 == 0 {
            waiting(&server, 3);
        }
        streams.clear();
        waiting(&server, 0);
    }
    let asked: Vec<_> = (0..4).map(|k| ask(server.http, k as f32)).collect();
    waiting(&server, 4);
    assert_eq!(server.statistics("double")["execution_count"], json!(0));
    drop(server);
    asked.into_iter().for_each(|asked| assert_eq!(asked.join().expect("it is answered").status, 200));
}

#[test]
fn slow_and_idle_connections_are_closed() {
    let server = ready(&doubling("idle", ""), |settings| settings.read_limit = Duration::from_millis(300));
    for (sent, status) in [
        (&b""[..], None),
        (b"POST /v2/mod", None),
        (b"POST /v2/models/double/infer HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{", Some("400")),
    ] {
        let start = Instant::now();
        let mut stream = send(server.http, sent);
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok();
        assert!(start.elapsed() < Duration::from_secs(30));
        let found = String::from_utf8_lossy(&answer).into_owned();
        assert!(status.is_none_or(|status| found.contains(status)), "{found}");
    }
}

#[test]
fn connections_are_so_many_and_no_more() {
    let server = ready(&doubling("connections", ""), |settings| settings.max_connections = 3);
    let held: Vec<_> = (0..3).map(|_| send(server.http, b"GET")).collect();
    until(|| server.get("/v2").status == 0);
    drop(held);
    until(|| server.get("/v2").status == 200);
}
