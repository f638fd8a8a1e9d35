//! Requests of different lengths in one batch.

use crate::client::{Answer, post, post_json};
use crate::repositories::{attending, empty, put, recurring};
use crate::support::{gpu, ready, until};
use gristmill::{Model, Options, Outputs, Session, Tensor, Tolerance};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread::spawn;

const INFER: &str = "/v2/models/attending/infer";

const PAD: &str = "[batching.pad]\ndimension = \"sequence\"\nlengths = [4, 8]\nmask = \"mask\"\nvalues = { ids = 10 }\n";

fn repository(name: &str, batching: &str, pad: &str) -> PathBuf {
    let repository = empty(name);
    put(&repository, "attending", &attending(), &format!("[batching]\n{batching}\n{pad}"));
    repository
}

/// The ids of a request.
fn ids(rows: usize, length: usize, seed: usize) -> Vec<i64> {
    (0..rows * length).map(|k| ((k * 7 + seed * 3 + 1) % 10) as i64).collect()
}

fn input(name: &str, rows: usize, length: usize, data: &[i64]) -> Value {
    json!({"name": name, "shape": [rows, length], "datatype": "INT64", "data": data})
}

fn ask(address: SocketAddr, inputs: Vec<Value>) -> Answer {
    post_json(address, INFER, &json!({"inputs": inputs}))
}

/// What a session gives for a request as it stands, with nothing beside it.
fn alone(session: &Session, rows: usize, length: usize, ids: &[i64], mask: &[i64]) -> Outputs {
    let tensor = |values: &[i64]| Tensor::new([rows, length], values).expect("it fits");
    let (ids, mask) = (tensor(ids), tensor(mask));
    session.run_blocking(&[("ids", ids.view()), ("mask", mask.view())]).expect("it runs")
}

fn session(repository: &Path) -> Session {
    let model = Model::load(repository.join("attending/model.onnx")).expect("it loads");
    Session::new_blocking(&gpu(), &model, Options::default()).expect("it can be run")
}

fn check(answer: &Answer, expected: &Outputs) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let tolerance = Tolerance::default();
    let outputs = answer.json()["outputs"].as_array().expect("a list").clone();
    assert_eq!(outputs.len(), 2);
    for output in outputs {
        let expected = &expected[output["name"].as_str().expect("a name")];
        assert_eq!(output["shape"], json!(expected.shape().dims()), "{}", output["name"]);
        let found = output["data"].as_array().expect("a list").iter().map(|value| value.as_f64().expect("a number"));
        for (found, expected) in found.zip(expected.as_slice::<f32>().expect("floats")) {
            let expected = f64::from(*expected);
            let bound = tolerance.absolute + tolerance.relative * expected.abs();
            assert!((found - expected).abs() <= bound, "{}: expected {expected}, found {found}", output["name"]);
        }
    }
}

#[test]
fn lengths_are_joined_and_each_request_gets_what_it_would_alone() {
    let repository = repository("padded", "rows = [1, 2, 4]\ndelay_ms = 60000", PAD);
    let session = session(&repository);
    let server = ready(&repository, |_| {});
    let address = server.http;
    // All are padded to 8; together they are four rows. Some give their mask, one with padding of its own.
    let requests =
        [(1, 5, None), (1, 8, Some(vec![1, 1, 1, 1, 1, 1, 1, 1])), (2, 7, Some(vec![1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1, 1]))];
    let asked: Vec<_> = requests
        .into_iter()
        .enumerate()
        .map(|(k, (rows, length, mask))| {
            let ids = ids(rows, length, k);
            let given = mask.as_ref().map(|mask| input("mask", rows, length, mask));
            let inputs = [input("ids", rows, length, &ids)].into_iter().chain(given).collect();
            let expected = alone(&session, rows, length, &ids, &mask.unwrap_or(vec![1; rows * length]));
            (expected, spawn(move || ask(address, inputs)))
        })
        .collect();
    for (expected, asked) in asked {
        check(&asked.join().expect("it is answered"), &expected);
    }
    let statistics = server.statistics("attending");
    assert_eq!((&statistics["inference_count"], &statistics["execution_count"]), (&json!(4), &json!(1)));
}

#[test]
fn plans_are_there_before_the_model_is() {
    let repository = repository("padded_warm", "rows = [1, 2]", PAD);
    let session = session(&repository);
    let server = ready(&repository, |_| {});
    let plans = || {
        let text = server.get("/metrics").text();
        let line = text.lines().find_map(|line| line.strip_prefix("gristmill_model_plans{model=\"attending\"} "));
        line.expect("it is counted").parse::<u64>().expect("a number")
    };
    let warm = plans();
    for length in 1..=8 {
        let ids = ids(2, length, length);
        check(&ask(server.http, vec![input("ids", 2, length, &ids)]), &alone(&session, 2, length, &ids, &vec![1; 2 * length]));
    }
    assert_eq!((warm, plans()), (4, 4));
    let optional = &server.get("/v2/models/attending/config").json()["input"];
    assert_eq!(
        optional,
        &json!([
            {"name": "ids", "data_type": "TYPE_INT64", "dims": [-1], "optional": false},
            {"name": "mask", "data_type": "TYPE_INT64", "dims": [-1], "optional": true},
        ])
    );
}

#[test]
fn what_is_too_long_is_refused() {
    let server = ready(&repository("padded_long", "rows = [1]", PAD), |_| {});
    for length in [0, 9, 4000] {
        let answer = ask(server.http, vec![input("ids", 1, length, &ids(1, length, 0))]);
        assert_eq!(answer.status, 400, "{}", answer.text());
        let says = format!("expected from 1 to 8 along the dimension `sequence`, found {length}");
        assert!(answer.error().contains(&says), "{}", answer.error());
    }
    let lengths = ask(server.http, vec![input("ids", 1, 3, &[1; 3]), input("mask", 1, 2, &[1; 2])]);
    assert!(lengths.error().contains("expected 3 for the dimension `sequence`"), "{}", lengths.text());
}

#[test]
fn the_budget_counts_padding() {
    // Two requests of a row of two are eight tokens each once they are padded: one batch has room for one of them.
    let pad = PAD.replace("[4, 8]", "[8]");
    let server = ready(&repository("padded_budget", "rows = [1, 2, 4]\nmax_tokens = 15\ndelay_ms = 60000", &pad), |_| {});
    let address = server.http;
    let asked: Vec<_> = (0..2).map(|k| spawn(move || ask(address, vec![input("ids", 1, 2, &ids(1, 2, k))]))).collect();
    until(|| server.statistics("attending")["execution_count"] == json!(1));
    drop(server);
    asked.into_iter().for_each(|asked| assert_eq!(asked.join().expect("it is answered").status, 200));
}

#[test]
fn what_does_not_fit_the_model_is_said_when_it_is_loaded() {
    let repository = empty("padded_wrong");
    let cases = [
        ("name", attending(), PAD.replace("\"sequence\"", "\"length\""), "no input of the model has the dimension `length`"),
        ("mask", attending(), PAD.replace("\"mask\"", "\"masks\""), "the model has no input `masks`"),
        ("value", attending(), PAD.replace("ids = 10", "ids = 0.5"), "input `ids` of type INT64 cannot hold 0.5"),
        ("zero", attending(), PAD.replace("ids = 10", "mask = 1"), "input `mask` is padded with 0"),
        ("none", attending(), PAD.replace("ids = 10", "id = 10"), "the model has no input `id`"),
        ("many", attending(), PAD.replace("[4, 8]", "[1, 2, 3, 4, 5]"), "4 numbers of rows for each of 5 lengths"),
        ("twice", recurring(), PAD.replace("mask = \"mask\"\n", "").replace("{ ids = 10 }", "{}"), "output `twice`"),
    ];
    for (name, model, config, _) in &cases {
        put(&repository, name, model, config);
    }
    let server = ready(&repository, |_| {});
    let index = post(server.http, "/v2/repository/index", &[], b"").json();
    for (name, .., says) in &cases {
        let line = index.as_array().expect("a list").iter().find(|line| line["name"] == **name).expect("it is listed");
        let reason = line["reason"].as_str().expect("a reason");
        assert!(reason.contains(says), "{name}: expected `{says}` in `{reason}`");
    }
}
