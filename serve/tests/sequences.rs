//! Sequences of requests: what a model holds for each, over all protocols.

use crate::client::{Answer, post, post_json};
use crate::grpc::{Client, floats};
use crate::repositories::{accumulating, doubling, put, summing};
use crate::support::{Running, ready, ready_on, until};
use gristmill::{Gpu, Power};
use gristmill_serve::grpc::{Choice, InferInputTensor, InferParameter, ModelInferRequest, ModelInferResponse};
use serde_json::{Value, json};
use std::net::SocketAddr;

const INFER: &str = "/v2/models/sum/infer";

fn ask(address: SocketAddr, value: f32, parameters: Value) -> Answer {
    let input = json!({"name": "x", "shape": [2], "datatype": "FP32", "data": [value, 0.0]});
    post_json(address, INFER, &json!({"inputs": [input], "parameters": parameters}))
}

/// The first element of what a request is answered by.
fn sum(answer: &Answer) -> f64 {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["outputs"][0]["data"][0].as_f64().expect("a number")
}

fn start(id: impl Into<Value>) -> Value {
    json!({"sequence_id": id.into(), "sequence_start": true})
}

fn next(id: impl Into<Value>) -> Value {
    json!({"sequence_id": id.into()})
}

fn end(id: impl Into<Value>) -> Value {
    json!({"sequence_id": id.into(), "sequence_end": true})
}

fn refused(answer: &Answer, status: u16, says: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert!(answer.error().contains(says), "expected `{says}` in `{}`", answer.error());
}

fn counts(server: &Running) -> [Value; 4] {
    let counts = &server.statistics("sum")["sequence_stats"];
    ["running", "started", "idle", "lost"].map(|name| counts[name].clone())
}

#[test]
fn each_sequence_goes_on_where_it_was() {
    let server = ready(&summing("sequences", ""), |_| {});
    let ask = |value, parameters| ask(server.http, value, parameters);
    assert_eq!(sum(&ask(1.0, start(7))), 10.0);
    assert_eq!(sum(&ask(5.0, start("7"))), 50.0, "text is another name than a number");
    assert_eq!(sum(&ask(2.0, next(7))), 30.0);
    assert_eq!(sum(&ask(5.0, next("7"))), 100.0);
    for alone in [json!({}), next(0), json!({"sequence_start": true}), json!({"sequence_id": "", "sequence_end": true})] {
        assert_eq!(sum(&ask(4.0, alone)), 40.0, "it belongs to no sequence");
    }
    assert_eq!(counts(&server), [2, 2, 0, 0].map(Value::from));
    assert_eq!(sum(&ask(3.0, end(7))), 60.0);
    refused(&ask(3.0, next(7)), 400, "sequence 7: it has ended");
    refused(&ask(3.0, end(8)), 400, "sequence 8: it does not run: expected the first request of a sequence to say that it starts");
    assert_eq!(sum(&ask(1.0, start("7"))), 10.0, "one that runs begins anew");
    assert_eq!(sum(&ask(1.0, next("7"))), 20.0);
    let both = json!({"sequence_id": 9, "sequence_start": true, "sequence_end": true});
    assert_eq!(sum(&ask(6.0, both)), 60.0);
    assert_eq!(counts(&server), [1, 4, 0, 0].map(Value::from));
    assert_eq!(server.get("/v2/models/sum/config").json()["sequence_batching"]["max_sequence_idle_microseconds"], 60_000_000);
    let metrics = server.get("/metrics").text();
    assert!(metrics.contains("gristmill_model_sequences{model=\"sum\"} 1"), "{metrics}");
}

#[test]
fn what_is_late_leaves_a_sequence_as_it_was() {
    let server = ready(&summing("late_turns", ""), |_| {});
    assert_eq!(sum(&ask(server.http, 1.0, start(1))), 10.0);
    let late = json!({"sequence_id": 1, "timeout": 1});
    refused(&ask(server.http, 100.0, late), 503, "deadline");
    let input = json!({"name": "x", "shape": [3], "datatype": "FP32", "data": [1, 2, 3]});
    let wrong = post_json(server.http, INFER, &json!({"inputs": [input], "parameters": next(1)}));
    refused(&wrong, 400, "expected the shape [2]");
    assert_eq!(sum(&ask(server.http, 2.0, next(1))), 30.0);
}

#[test]
fn sequences_are_so_many_and_end_when_they_are_idle() {
    let server = ready(&summing("idle_turns", "[sequences]\nmax_sequences = 1\nidle_seconds = 1\n"), |_| {});
    assert_eq!(sum(&ask(server.http, 1.0, start("a"))), 10.0);
    let busy = ask(server.http, 1.0, start("b"));
    refused(&busy, 429, "sequence \"b\": 1 sequences run");
    assert_eq!(busy.header("retry-after"), Some("1"));
    until(|| counts(&server)[0] == json!(0));
    refused(&ask(server.http, 1.0, next("a")), 400, "idle for too long");
    assert_eq!(sum(&ask(server.http, 1.0, start("b"))), 10.0);
    assert_eq!(sum(&ask(server.http, 1.0, end("b"))), 20.0);
    assert_eq!(sum(&ask(server.http, 1.0, start("c"))), 10.0, "there is room as soon as the end is answered");
    assert_eq!(counts(&server), [1, 3, 1, 0].map(Value::from));
}

#[test]
fn states_hold_so_much_memory_and_no_more() {
    let repository = summing("state_memory", "[sequences]\nmax_bytes = 16\n");
    put(&repository, "none", &accumulating(), "states = [[\"next\", \"held\"]]\n[sequences]\nmax_bytes = 7\n");
    let server = ready(&repository, |_| {});
    assert_eq!(sum(&ask(server.http, 1.0, start(1))), 10.0);
    assert_eq!(sum(&ask(server.http, 1.0, start(2))), 10.0);
    refused(&ask(server.http, 1.0, start(3)), 429, "2 sequences run");
    let none = server.get("/v2/models/none/ready");
    assert_eq!(none.status, 503);
    let index = post(server.http, "/v2/repository/index", &[], b"").text();
    assert!(index.contains("the states of one sequence hold 8 bytes"), "{index}");
}

#[test]
fn sequences_go_with_their_model() {
    let server = ready(&summing("anew", ""), |_| {});
    let repository = |what: &str| post(server.http, &format!("/v2/repository/models/sum/{what}"), &[], b"").status;
    assert_eq!(sum(&ask(server.http, 1.0, start(1))), 10.0);
    assert_eq!(repository("load"), 200);
    refused(&ask(server.http, 1.0, next(1)), 400, "loaded anew");
    assert_eq!(sum(&ask(server.http, 1.0, start(1))), 10.0);
    assert_eq!(sum(&ask(server.http, 1.0, end(1))), 20.0);
    refused(&ask(server.http, 1.0, next(1)), 400, "it has ended");
    assert_eq!(sum(&ask(server.http, 1.0, start("x"))), 10.0);
    assert_eq!((repository("unload"), ask(server.http, 1.0, next("x")).status, repository("load")), (200, 503, 200));
    refused(&ask(server.http, 1.0, next("x")), 400, "loaded anew");
}

#[test]
fn many_sequences_run_beside_each_other() {
    let repository = doubling("beside", "");
    put(&repository, "sum", &accumulating(), "states = [[\"next\", \"held\"]]\ninstances = 2\n");
    let server = ready(&repository, |_| {});
    std::thread::scope(|scope| {
        for sequence in 1..5 {
            let address = server.http;
            scope.spawn(move || {
                let step = sequence as f32;
                for k in 1..=25 {
                    let parameters = if k == 1 { start(sequence) } else { next(sequence) };
                    assert_eq!(sum(&ask(address, step, parameters)), f64::from(10 * k * sequence));
                }
            });
        }
    });
    assert_eq!(counts(&server), [4, 4, 0, 0].map(Value::from));
}

#[test]
fn what_a_device_held_is_lost_with_it() {
    let own = Gpu::new_blocking(Power::High).expect("the tests need an adapter");
    let server = ready_on(&summing("lost_turns", ""), own.clone());
    assert_eq!(sum(&ask(server.http, 1.0, start(1))), 10.0);
    own.device().destroy();
    refused(&ask(server.http, 1.0, next(1)), 503, "what the sequence held was lost with its device");
    refused(&ask(server.http, 1.0, next(1)), 400, "sequence 1: what it held was lost");
    assert_eq!(sum(&ask(server.http, 2.0, start(1))), 20.0);
    assert_eq!(sum(&ask(server.http, 2.0, next(1))), 40.0);
    assert_eq!(counts(&server), [1, 2, 0, 1].map(Value::from));
}

fn message(value: f32, id: Choice, flags: &[&str]) -> ModelInferRequest {
    let raw: Vec<u8> = [value, 0.0].iter().flat_map(|value| value.to_le_bytes()).collect();
    let parameter = |choice| InferParameter { choice: Some(choice) };
    let flags = flags.iter().map(|flag| ((*flag).to_string(), parameter(Choice::Bool(true))));
    ModelInferRequest {
        model_name: "sum".into(),
        parameters: flags.chain([("sequence_id".into(), parameter(id))]).collect(),
        inputs: vec![InferInputTensor { name: "x".into(), datatype: "FP32".into(), shape: vec![2], ..Default::default() }],
        raw_input_contents: vec![raw.into()],
        ..Default::default()
    }
}

#[test]
fn sequences_go_over_calls_and_streams_too() {
    let server = ready(&summing("called", ""), |_| {});
    let mut client = Client::new(server.grpc);
    let text = || Choice::String("s".into());
    for (value, id, flags, expected) in [
        (1.0, Choice::Int64(5), &["sequence_start"][..], 10.0),
        (2.0, text(), &["sequence_start"], 20.0),
        (1.0, Choice::Uint64(5), &[], 20.0),
        (2.0, text(), &["sequence_end"], 40.0),
    ] {
        let response: ModelInferResponse = client.call("ModelInfer", message(value, id, flags)).expect("it is answered");
        assert_eq!(floats(&response)[0], expected);
    }
    // The sequence goes on over REST, and then in a stream.
    assert_eq!(sum(&ask(server.http, 1.0, next(5))), 30.0);
    let of = |k: i64, flags: &[&str]| message(k as f32, Choice::Int64(k), flags);
    let requests =
        vec![of(5, &[]), of(6, &["sequence_start"]), of(5, &["sequence_end"]), of(6, &[]), of(5, &[]), of(6, &["sequence_end"])];
    let answers = client.stream(requests);
    let sums: Vec<Option<f32>> = answers
        .iter()
        .map(|answer| {
            answer.infer_response.as_ref().filter(|_| answer.error_message.is_empty()).map(|response| floats(response)[0])
        })
        .collect();
    assert_eq!(sums, [Some(80.0), Some(60.0), Some(130.0), Some(120.0), None, Some(180.0)]);
    assert!(answers[4].error_message.contains("it has ended"), "{}", answers[4].error_message);
}
