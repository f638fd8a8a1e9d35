//! Keys: who is let in, what is there for whom, and how much.

use crate::client::{Answer, exchange, post_json, request, send};
use crate::grpc::{Client, infer, named};
use crate::repositories::{doubling, put, summing, times};
use crate::support::{Running, ready, refused, until};
use gristmill_serve::Settings;
use gristmill_serve::grpc::*;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use tonic::Code;

const INFER: &str = "/v2/models/double/infer";

/// A tenant whose key is the name backwards.
fn tenant(name: &str, more: &str) -> String {
    let hash: String = Sha256::digest(key(name)).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("[[tenant]]\nname = \"{name}\"\nsha256 = \"{hash}\"\n{more}\n")
}

fn key(name: &str) -> String {
    name.chars().rev().collect()
}

fn keys(repository: &Path, tenants: &[String]) -> PathBuf {
    let file = repository.join("keys.toml");
    // At once, as whoever looks at it in between would find half.
    fs::write(repository.join("keys.new"), tenants.concat()).expect("it can be written");
    fs::rename(repository.join("keys.new"), &file).expect("it can be renamed");
    file
}

/// A server with two models and these tenants.
fn guarded(name: &str, config: &str, tenants: &[String]) -> Running {
    let repository = doubling(name, config);
    put(&repository, "triple", &times(3.0, 2), "");
    let file = keys(&repository, tenants);
    ready(&repository, |settings| settings.keys = Some(file))
}

fn ask(server: &Running, name: &str, method: &str, path: &str, body: &str) -> Answer {
    let header = format!("Bearer {}", key(name));
    exchange(server.http, &request(method, path, &[("Authorization", &header)], body.as_bytes()))
}

fn body() -> String {
    json!({"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]}).to_string()
}

/// The code of a call, by the key of somebody.
fn called<Q, A>(server: &Running, name: Option<&str>, call: &str, message: Q) -> Result<A, Code>
where
    Q: prost::Message + Default + 'static,
    A: prost::Message + Default + 'static,
{
    let mut client = Client::new(server.grpc);
    client.authorization = name.map(|name| format!("Bearer {}", key(name)));
    client.call(call, message).map_err(|status| status.code())
}

#[test]
fn without_a_key_nothing_is_told() {
    let server = guarded("locked", "", &[tenant("alice", "")]);
    for path in ["/v2/health/live", "/v2/health/ready"] {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
    for path in ["/v2", "/v2/models/double", "/v2/models/none", "/v2/models/double/ready", "/v2/models/stats", "/metrics", "/v3"] {
        let answer = server.get(path);
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Bearer")), "{path}");
        assert!(answer.error().contains("Authorization: Bearer KEY"), "{}", answer.text());
    }
    assert_eq!(post_json(server.http, INFER, &json!({})).status, 401);
    for value in ["Bearer alice", "Basic ecila", "ecila", "Bearer ecila2"] {
        let answer = exchange(server.http, &request("GET", "/v2", &[("Authorization", value)], &[]));
        assert_eq!(answer.status, 401, "{value}");
    }
    let twice = [("Authorization", "Bearer ecila"), ("Authorization", "Bearer ecila")];
    assert_eq!(exchange(server.http, &request("GET", "/v2", &twice, &[])).status, 401);
    assert_eq!(ask(&server, "alice", "GET", "/v2", "").status, 200);

    assert_eq!(called(&server, None, "ServerReady", Empty {}), Ok(Ready { ready: true }));
    assert_eq!(called(&server, None, "Check", HealthCheckRequest::default()), Ok(HealthCheckResponse { status: 1 }));
    let refused = Err(Code::Unauthenticated);
    assert_eq!(called::<_, ModelInferResponse>(&server, None, "ModelInfer", infer(1, &[1.0, 2.0])), refused);
    assert_eq!(called::<_, RepositoryIndexResponse>(&server, Some("bob"), "RepositoryIndex", Empty {}), Err(Code::Unauthenticated));
    assert_eq!(called::<_, ServerMetadata>(&server, None, "ServerMetadata", Empty {}), Err(Code::Unauthenticated));
    assert!(called::<_, ModelInferResponse>(&server, Some("alice"), "ModelInfer", infer(1, &[1.0, 2.0])).is_ok());
}

#[test]
fn streams_need_a_key_for_each_request() {
    let repository = doubling("streamed", "");
    let file = keys(&repository, &[tenant("alice", "max_per_second = 1")]);
    let server = ready(&repository, |settings| settings.keys = Some(file));
    let mut client = Client::new(server.grpc);
    assert_eq!(client.try_stream(vec![infer(1, &[1.0, 2.0])]).expect_err("there is no key").code(), Code::Unauthenticated);
    client.authorization = Some("Bearer ecila".into());
    let answers = client.try_stream(vec![infer(1, &[1.0, 2.0]), infer(1, &[1.0, 2.0])]).expect("it is answered");
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[0].error_message, "");
    assert!(answers[1].error_message.contains("1 requests a second"), "{}", answers[1].error_message);
}

#[test]
fn what_is_not_theirs_is_not_there() {
    let server = guarded("theirs", "", &[tenant("alice", "models = [\"double\", \"gone\"]"), tenant("root", "admin = true")]);
    assert_eq!(ask(&server, "alice", "POST", INFER, &body()).status, 200);
    let none = |path: &str| ask(&server, "alice", "GET", path, "").text();
    for end in ["", "/ready", "/config", "/stats", "/versions/1", "/versions/9"] {
        assert_eq!(none(&format!("/v2/models/triple{end}")).replace("triple", "none"), none(&format!("/v2/models/none{end}")));
        assert_eq!(ask(&server, "alice", "GET", &format!("/v2/models/triple{end}"), "").status, 404);
    }
    assert_eq!(ask(&server, "alice", "POST", "/v2/models/triple/infer", &body()).status, 404);
    let named_in = |list: &Value| {
        let names = list.as_array().expect("a list").iter().map(|line| line["name"].as_str().expect("a name").to_string());
        names.collect::<Vec<_>>()
    };
    let index = |name: &str| named_in(&ask(&server, name, "POST", "/v2/repository/index", "").json());
    let counted = |name: &str| named_in(&ask(&server, name, "GET", "/v2/models/stats", "").json()["model_stats"]);
    assert_eq!((index("alice"), counted("alice")), (vec!["double".to_string()], vec!["double".to_string()]));
    assert_eq!((index("root").len(), counted("root").len()), (2, 2));
    for path in ["/v2/repository/models/double/unload", "/v2/repository/models/none/load", "/v2/repository/refresh"] {
        assert_eq!(ask(&server, "alice", "POST", path, "").status, 403, "{path}");
    }
    assert_eq!(ask(&server, "alice", "GET", "/metrics", "").status, 403);
    assert_eq!(ask(&server, "root", "POST", "/v2/repository/models/triple/load", "").status, 200);
    server.get("/v2");
    let metrics = ask(&server, "root", "GET", "/metrics", "").text();
    for line in [
        "gristmill_requests_total{model=\"double\",protocol=\"http\",tenant=\"alice\",code=\"ok\"} 1",
        "gristmill_refused_requests_total{protocol=\"http\",tenant=\"\",code=\"unauthenticated\"} 1",
    ] {
        assert!(metrics.contains(line), "expected `{line}` in\n{metrics}");
    }

    let alice = Some("alice");
    let other = ModelInferRequest { model_name: "triple".into(), ..infer(1, &[1.0, 2.0]) };
    assert_eq!(called::<_, ModelInferResponse>(&server, alice, "ModelInfer", other), Err(Code::NotFound));
    assert_eq!(called::<_, ModelMetadata>(&server, alice, "ModelMetadata", named("triple")), Err(Code::NotFound));
    assert_eq!(called::<_, ModelConfigResponse>(&server, alice, "ModelConfig", named("triple")), Err(Code::NotFound));
    assert_eq!(called::<_, Ready>(&server, alice, "ModelReady", named("triple")), Ok(Ready { ready: false }));
    let statistics: ModelStatisticsResponse = called(&server, alice, "ModelStatistics", named("")).expect("it is answered");
    assert_eq!(statistics.model_stats.len(), 1);
    let index: RepositoryIndexResponse = called(&server, alice, "RepositoryIndex", Empty {}).expect("it is answered");
    assert_eq!(index.models.len(), 1);
    let model = RepositoryModelRequest { model_name: "double".into(), ..Default::default() };
    for call in ["RepositoryModelLoad", "RepositoryModelUnload"] {
        assert_eq!(called::<_, Empty>(&server, alice, call, model.clone()), Err(Code::PermissionDenied));
    }
    assert_eq!(called(&server, Some("root"), "RepositoryModelUnload", model), Ok(Empty {}));
}

#[test]
fn keys_have_their_limits() {
    let slow = "[batching]\nrows = [1, 2]\ndelay_ms = 60000\n";
    let tenants = [
        tenant("alice", "max_requests = 1"),
        tenant("bob", "max_per_second = 1"),
        tenant("carol", "max_bytes = 50"),
        tenant("root", "admin = true"),
    ];
    let server = guarded("limits", slow, &tenants);
    let header = format!("Bearer {}", key("alice"));
    let held = send(server.http, &request("POST", INFER, &[("Authorization", &header)], body().as_bytes()));
    let waiting = || ask(&server, "root", "GET", "/metrics", "").text().contains("gristmill_queue_requests 1\n");
    until(waiting);
    let refused = ask(&server, "alice", "GET", "/v2", "");
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")));
    assert!(refused.error().contains("1 requests at a time"), "{}", refused.text());
    assert_eq!(called::<_, ServerMetadata>(&server, Some("alice"), "ServerMetadata", Empty {}), Err(Code::ResourceExhausted));
    assert_eq!(ask(&server, "root", "GET", "/v2", "").status, 200);
    // Whoever leaves gives back the place.
    drop(held);
    until(|| ask(&server, "alice", "GET", "/v2", "").status == 200);

    until(|| {
        let answers = [(); 2].map(|()| ask(&server, "bob", "GET", "/v2", ""));
        let refused = answers[1].status == 429;
        assert!(!refused || answers[1].header("retry-after") == Some("1"));
        answers[0].status == 200 && refused
    });

    assert_eq!(ask(&server, "carol", "POST", "/v2/models/triple/infer", "{}").status, 400);
    let refused = ask(&server, "carol", "POST", "/v2/models/triple/infer", &body());
    assert_eq!(refused.status, 429, "{}", refused.text());
    assert!(refused.error().contains("50 bytes"), "{}", refused.text());
}

#[test]
fn keys_are_read_again_when_they_change() {
    let repository = doubling("changed-keys", "");
    let file = keys(&repository, &[tenant("alice", "")]);
    let server = ready(&repository, |settings| settings.keys = Some(file.clone()));
    let status = |name: &str| ask(&server, name, "GET", "/v2", "").status;
    assert_eq!((status("alice"), status("bob")), (200, 401));
    keys(&repository, &[tenant("bob", "")]);
    until(|| status("bob") == 200);
    assert_eq!(status("alice"), 401);
    // What is malformed changes nothing.
    fs::write(&file, "[[tenant]]\nname = 3\n").expect("it can be written");
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert_eq!((status("alice"), status("bob")), (401, 200));
    fs::remove_file(&file).expect("it can be removed");
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert_eq!(status("bob"), 200);
    keys(&repository, &[tenant("alice", ""), tenant("bob", "")]);
    until(|| status("alice") == 200);
}

#[test]
fn a_server_does_not_start_with_keys_that_it_cannot_read() {
    for text in [None, Some("[[tenant]]\nname = \"a\"\n")] {
        let repository = doubling("bad-keys", "");
        let file = repository.join("keys.toml");
        text.into_iter().for_each(|text| fs::write(&file, text).expect("it can be written"));
        let failure = refused(Settings { keys: Some(file), ..Settings::new(&repository) });
        assert_eq!(failure.code(), gristmill_serve::Code::InvalidArgument);
        assert!(failure.message().contains("keys.toml"), "{failure}");
    }
}

#[test]
fn sequences_are_each_tenants_own() {
    let repository = summing("sequences-of-tenants", "");
    let file = keys(&repository, &[tenant("alice", ""), tenant("bob", "")]);
    let server = ready(&repository, |settings| settings.keys = Some(file));
    let go = |name: &str, value: f32, start: bool| {
        let input = json!({"name": "x", "shape": [2], "datatype": "FP32", "data": [value, value]});
        let body = json!({"inputs": [input], "parameters": {"sequence_id": 5, "sequence_start": start}});
        let answer = ask(&server, name, "POST", "/v2/models/sum/infer", &body.to_string());
        answer.json()["outputs"][0]["data"][0].as_f64()
    };
    assert_eq!(go("alice", 1.0, true), Some(10.0));
    assert_eq!(go("bob", 1.0, false), None, "there is no such sequence of bob's");
    assert_eq!(go("bob", 7.0, true), Some(70.0));
    assert_eq!((go("alice", 2.0, false), go("bob", 1.0, false)), (Some(30.0), Some(80.0)));
}
