//! Connections that would keep the server waiting, on both protocols.

use crate::client::{exchange, request, send};
use crate::grpc::{Client, infer, path};
use crate::repositories::{doubling, put, times};
use crate::support::{Running, ready, until};
use gristmill_serve::grpc::{Empty, Live, ModelInferRequest, ModelInferResponse, ModelStreamInferResponse};
use serde_json::json;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use tonic::{Code, Request};
use tonic_prost::ProstCodec;

/// What a client of HTTP/2 begins with: the preface, and settings that are all the usual ones.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// The elements of a row of the model whose answers no socket buffers.
const WIDE: usize = 1 << 20;

fn wide(name: &str) -> std::path::PathBuf {
    let repository = doubling(name, "");
    put(&repository, "wide", &times(1.1, WIDE), "[batching]\nrows = [1]\n");
    repository
}

/// Whether a connection of gRPC gets a place: the server begins with its settings.
fn is_taken(address: SocketAddr) -> bool {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_secs(100))).expect("it can be set");
    matches!(stream.read(&mut [0; 9]), Ok(1..))
}

/// Reads to the end, which must come.
fn ends(stream: &mut TcpStream) -> bool {
    let start = Instant::now();
    stream.read_to_end(&mut Vec::new()).ok();
    start.elapsed() < Duration::from_secs(90)
}

#[test]
fn a_client_that_reads_nothing_loses_its_connection() {
    let server = ready(&wide("unread"), |settings| {
        settings.max_connections = 1;
        settings.read_limit = Duration::from_secs(2);
    });
    let input = json!({"name": "x", "shape": [1, WIDE], "datatype": "FP32", "parameters": {"binary_data_size": 4 * WIDE}});
    let head = json!({"inputs": [input]}).to_string();
    let body = [head.as_bytes(), &vec![0x3f; 4 * WIDE]].concat();
    let length = head.len().to_string();
    let headers = [("Inference-Header-Content-Length", &*length)];
    let held = send(server.http, &request("POST", "/v2/models/wide/infer", &headers, &body));
    assert_eq!(server.get("/v2/health/live").status, 0, "there is one place");
    until(|| server.get("/v2/health/live").status == 200);
    drop(held);
}

#[test]
fn a_client_that_shuts_its_window_loses_its_connection() {
    let server = ready(&wide("shut"), |settings| {
        settings.max_connections = 1;
        settings.read_limit = Duration::from_millis(500);
    });
    let client = Client::new(server.grpc);
    let message = ModelInferRequest {
        model_name: "wide".into(),
        inputs: vec![gristmill_serve::grpc::InferInputTensor { shape: vec![1, WIDE as i64], ..infer(1, &[]).inputs[0].clone() }],
        raw_input_contents: vec![vec![0; 4 * WIDE].into()],
        ..infer(1, &[])
    };
    let stream = client.request(tokio_stream::iter([message]));
    let codec = ProstCodec::<ModelInferRequest, ModelStreamInferResponse>::default();
    let error = client.runtime.block_on(async {
        let mut grpc = client.grpc.clone().max_decoding_message_size(usize::MAX);
        grpc.ready().await.expect("it is connected");
        let mut received = grpc.streaming(stream, path("ModelStreamInfer"), codec).await.expect("it begins").into_inner();
        // Nothing is read, so that the window for the answer is not opened again.
        let start = Instant::now();
        while !is_taken(server.grpc) {
            assert!(start.elapsed() < Duration::from_secs(100), "its place is not given to another");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        received.message().await.err()
    });
    assert!(error.is_some(), "the answer came whole");
}

#[test]
fn a_request_that_comes_too_slowly_is_refused() {
    let server = ready(&doubling("slow", ""), |settings| settings.read_limit = Duration::from_millis(300));
    let mut stream = send(server.http, b"POST /v2/repository/index HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it is text");
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("too slowly"), "{answer}");
    let mut client = Client::new(server.grpc);
    let status = client.runtime.block_on(async {
        client.grpc.ready().await.expect("it is connected");
        // A message that never comes.
        let never = Request::new(tokio_stream::pending::<ModelInferRequest>());
        let codec = ProstCodec::<ModelInferRequest, ModelInferResponse>::default();
        client.grpc.client_streaming(never, path("ModelInfer"), codec).await.expect_err("it does not come")
    });
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    assert!(status.message().contains("too slowly"), "{status}");
}

#[test]
fn idle_connections_of_grpc_are_closed() {
    let server = ready(&doubling("idle-grpc", ""), |settings| {
        settings.read_limit = Duration::from_millis(300);
        settings.idle_limit = Duration::from_millis(300);
    });
    for sent in [&b""[..], b"PRI * HTTP", PREFACE] {
        let mut stream = send(server.grpc, sent);
        assert!(ends(&mut stream), "it goes on after {sent:?}");
    }
    // Who does not speak the protocol is told to go at once.
    assert!(ends(&mut send(server.grpc, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")));
    // A client that was idle connects anew.
    let mut client = Client::new(server.grpc);
    for _ in 0..2 {
        assert_eq!(client.call::<_, Live>("ServerLive", Empty {}).expect("it is answered"), Live { live: true });
        // The client sees only then that it is told to go.
        client.runtime.block_on(async { tokio::time::sleep(Duration::from_millis(900)).await });
    }
}

#[test]
fn connections_of_grpc_are_so_many_and_no_more() {
    let server = ready(&doubling("connections-grpc", ""), |settings| settings.max_connections = 2);
    let held: Vec<_> = (0..2).map(|_| send(server.grpc, PREFACE)).collect();
    until(|| !is_taken(server.grpc));
    drop(held);
    until(|| is_taken(server.grpc));
}

/// What a server still answers while connections are held that say nothing.
fn answers(server: &Running) -> bool {
    let mut client = Client::new(server.grpc);
    let live: Result<Live, _> = client.call("ServerLive", Empty {});
    live.is_ok() && server.get("/v2/health/live").status == 200
}

#[test]
fn silent_connections_keep_nobody_else_waiting() {
    let server = ready(&doubling("silent", ""), |_| {});
    let addresses = [server.http, server.grpc];
    let held: Vec<_> = (0..100).map(|k| TcpStream::connect(addresses[k % 2]).expect("the server listens")).collect();
    assert!(answers(&server));
    for mut stream in held {
        stream.write_all(b"\0").ok();
    }
    assert!(answers(&server));
    assert_eq!(exchange(server.http, &request("GET", "/v2", &[], &[])).status, 200);
}
