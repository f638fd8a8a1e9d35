//! What people and programs see of a server: the page, the document of what can be asked, and what traces a request.

use crate::client::{exchange, post, post_json, request};
use crate::grpc::{Client, infer, path};
use crate::repositories::doubling;
use crate::rest::shared;
use crate::support::ready;
use gristmill_serve::grpc::{Choice, InferParameter, ModelInferRequest, ModelInferResponse};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use tonic_prost::ProstCodec;

const INFER: &str = "/v2/models/double/infer";

/// The names of the times that a traced request is given.
const TIMES: [&str; 5] = ["computing_ns", "joining_ns", "parting_ns", "queue_ns", "serialising_ns"];

fn body(parameters: Value) -> Value {
    let input = json!({"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]});
    json!({"inputs": [input], "parameters": parameters})
}

#[test]
fn the_page_is_one_file_that_fetches_nothing_from_elsewhere() {
    let answer = shared().get("/");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = answer.header("content-security-policy").expect("there is one");
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
    let page = answer.text();
    for outside in ["http:", "https:", "src=", "@import", "url(", " style=", " onclick="] {
        assert!(!page.contains(outside), "the page has `{outside}`");
    }
    assert_eq!((page.matches("<script").count(), page.matches("<style").count()), (1, 1));
}

#[test]
fn each_operation_of_the_document_is_there() {
    let answer = shared().get("/openapi.json");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    let document = answer.json();
    for (path, item) in document["paths"].as_object().expect("there are paths") {
        // A model that is not there, so that nothing is changed.
        let path = path.replace("{model}", "nothing").replace("{version}", "1");
        if path.ends_with("/refresh") {
            continue;
        }
        let methods: BTreeSet<&str> = item.as_object().expect("it has operations").keys().map(String::as_str).collect();
        for method in ["get", "post"] {
            let status = exchange(shared().http, &request(&method.to_uppercase(), &path, &[], &[])).status;
            assert_eq!(status != 405, methods.contains(method), "{method} {path}: {status}");
            let named = item[method]["responses"].get(status.to_string()).is_some();
            assert!(named || status == 405, "{method} {path}: the document does not name {status}");
        }
    }
}

#[test]
fn statistics_say_how_a_model_is_doing() {
    let server = ready(&doubling("doing", ""), |_| {});
    let before = server.statistics("double")["load"].clone();
    assert_eq!(before, json!({"waiting": 0, "per_second": 0.0, "p50_ns": null, "p99_ns": null}));
    assert_eq!(post_json(server.http, INFER, &body(json!({}))).status, 200);
    let after = server.statistics("double")["load"].clone();
    assert!(after["p50_ns"].as_u64().is_some_and(|time| time > 0) && after["p99_ns"] == after["p50_ns"], "{after}");
}

#[test]
fn a_request_is_traced_over_http() {
    let server = ready(&doubling("traced", ""), |_| {});
    let given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let body = body(json!({"trace": true})).to_string();
    let answer = post(server.http, INFER, &[("traceparent", given)], body.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    let returned = answer.header("traceparent").expect("it is given back");
    assert!(returned.starts_with(&given[..36]) && returned.ends_with("-01") && returned != given, "{returned}");
    let response = answer.json();
    let times = response["parameters"].as_object().expect("there are parameters");
    assert_eq!(times.keys().map(String::as_str).collect::<Vec<_>>(), TIMES);
    assert!(times.values().all(Value::is_u64) && times["computing_ns"] != 0, "{times:?}");
    // Whoever does not ask is given a trace, and no times.
    let answer = post_json(server.http, INFER, &self::body(json!({})));
    assert!(answer.header("traceparent").is_some() && answer.json().get("parameters").is_none());
    assert_eq!(post_json(server.http, INFER, &self::body(json!({"trace": 1}))).status, 400);
    let metrics = server.get("/metrics").text();
    for part in ["joining", "computing", "parting", "serialising"] {
        let line = format!("gristmill_part_seconds_count{{model=\"double\",part=\"{part}\"}} 2\n");
        assert!(metrics.contains(&line), "expected `{line}` in\n{metrics}");
    }
}

#[test]
fn a_request_is_traced_over_grpc() {
    let mut client = Client::new(shared().grpc);
    let trace = InferParameter { choice: Some(Choice::Bool(true)) };
    let message = ModelInferRequest { parameters: HashMap::from([("trace".into(), trace)]), ..infer(1, &[1.0, 2.0]) };
    let mut request = client.request(message);
    let given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
    request.metadata_mut().insert("traceparent", given.parse().expect("it is a header"));
    let response = client.runtime.block_on(async {
        client.grpc.ready().await.expect("it is connected");
        let codec = ProstCodec::<ModelInferRequest, ModelInferResponse>::default();
        client.grpc.unary(request, path("ModelInfer"), codec).await.expect("it is answered")
    });
    let returned = response.metadata().get("traceparent").expect("it is given back").to_str().expect("it is text");
    assert!(returned.starts_with(&given[..36]) && returned != given, "{returned}");
    let mut names: Vec<&str> = response.get_ref().parameters.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, TIMES);
}
