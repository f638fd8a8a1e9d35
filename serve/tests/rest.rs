//! REST: what models are asked and how they answer.

use crate::client::{Answer, post, post_json};
use crate::proof::load::{Kept, kept};
use crate::repositories::{doubling, empty, models, put, typed};
use crate::support::{Running, gpu, ready};
use flate2::Compression;
use flate2::read::{GzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};
use gristmill::{DType, Model, Options, Session, Tensor};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::sync::OnceLock;

/// A server with a few models that all tests here share. It is never told to end, as a process that is killed is not.
pub fn shared() -> &'static Running {
    static SHARED: OnceLock<Running> = OnceLock::new();
    SHARED.get_or_init(|| {
        let repository = doubling("rest", "");
        put(&repository, "typed", &typed(), "");
        for name in ["bert_tiny", "digit_cnn", "g2p_en_encoder"] {
            let model = std::fs::read(models().join(name).join("model.onnx")).expect("the model is there");
            put(&repository, name, &model, "");
        }
        ready(&repository, |settings| settings.max_body = 1 << 20)
    })
}

fn floats(tensor: &Tensor) -> Vec<f32> {
    tensor.as_slice::<f32>().expect("it holds floats").to_vec()
}

fn listed(output: &Value) -> Vec<f32> {
    output["data"].as_array().expect("it is a list").iter().map(|v| v.as_f64().expect("a number") as f32).collect()
}

fn assert_close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= 1e-5 * (1.0 + expected.abs()), "expected {expected}, found {found}");
    }
}

/// The JSON of a response, and the bytes behind it.
fn split(answer: &Answer) -> (Value, &[u8]) {
    let length = answer.header("inference-header-content-length").expect("bytes follow").parse().expect("it is a number");
    let (json, bytes) = answer.body.split_at(length);
    (serde_json::from_slice(json).expect("it is JSON"), bytes)
}

#[test]
fn the_server_and_its_models_are_described() {
    let server = shared();
    assert_eq!(server.get("/v2").json()["name"], "gristmill");
    for path in ["/v2/health/live", "/v2/health/ready", "/v2/models/double/ready", "/v2/models/double/versions/1/ready"] {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
    let expected = json!({
        "name": "double", "versions": ["1"], "platform": "onnx_gristmill",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 2]}],
    });
    assert_eq!(server.get("/v2/models/double").json(), expected);
    assert_eq!(server.get("/v2/models/double/versions/1").json(), expected);
    let config = server.get("/v2/models/double/config").json();
    assert_eq!((&config["max_batch_size"], &config["input"][0]["dims"]), (&json!(8), &json!([2])));
    let bert = server.get("/v2/models/bert_tiny").json();
    assert_eq!(bert["inputs"][0]["datatype"], "INT64");
    assert_eq!((&bert["outputs"][0]["shape"], &bert["outputs"][1]["shape"]), (&json!([2, 16, 64]), &json!([2, 64])));
    let encoder = server.get("/v2/models/g2p_en_encoder").json();
    assert_eq!((&encoder["inputs"][0]["shape"], &encoder["outputs"][0]["shape"]), (&json!([-1, -1]), &json!([1, -1, 256])));
    let index = post(server.http, "/v2/repository/index", &[], b"{\"ready\":true}").json();
    assert_eq!(index.as_array().map(Vec::len), Some(5));
}

#[test]
fn text_and_bytes_give_what_a_session_gives() {
    let server = shared();
    let model = Model::load(models().join("bert_tiny/model.onnx")).expect("it loads");
    let session = Session::new_blocking(&gpu(), &model, Options::default()).expect("it can be run");
    let ids: Vec<i64> = (0..32).map(|k| k * 5 % 40).collect();
    let mask: Vec<i64> = (0..32).map(|k| i64::from(k % 16 < 12)).collect();
    let values = [&ids, &mask];
    let tensors: Vec<Tensor> = values.iter().map(|v| Tensor::new([2, 16], v).expect("it fits")).collect();
    let named: Vec<_> = session.inputs().iter().zip(&tensors).map(|(input, tensor)| (&*input.name, tensor.view())).collect();
    let expected = session.run_blocking(&named).expect("it runs");

    let inputs = named.iter().zip(values).map(
        |((name, _), values)| json!({"name": name, "shape": [2, 16], "datatype": "INT64", "data": [&values[..16], &values[16..]]}),
    );
    let request = json!({"id": "seven", "inputs": inputs.collect::<Vec<_>>()});
    let answer = post_json(server.http, "/v2/models/bert_tiny/infer", &request);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let response = answer.json();
    assert_eq!((&response["id"], &response["model_version"]), (&json!("seven"), &json!("1")));
    let outputs = response["outputs"].as_array().expect("a list");
    assert_eq!(outputs.len(), expected.len());
    for output in outputs {
        let tensor = &expected[output["name"].as_str().expect("a name")];
        assert_eq!(output["shape"], json!(tensor.shape().dims()));
        assert_close(&listed(output), &floats(tensor));
    }

    let inputs = named.iter().map(|(name, view)| {
        let parameters = json!({"binary_data_size": view.bytes().len()});
        json!({"name": name, "shape": [2, 16], "datatype": "INT64", "parameters": parameters})
    });
    let names = session.outputs();
    let outputs = json!([{"name": names[1], "parameters": {"binary_data": true}}, {"name": names[0]}]);
    let head = json!({"inputs": inputs.collect::<Vec<_>>(), "outputs": outputs}).to_string();
    let body = [head.as_bytes(), tensors[0].bytes(), tensors[1].bytes()].concat();
    let length = head.len().to_string();
    let headers = [("Inference-Header-Content-Length", &*length)];
    let answer = post(server.http, "/v2/models/bert_tiny/versions/1/infer", &headers, &body);
    let (response, bytes) = split(&answer);
    assert_eq!(response["outputs"][0]["name"], json!(names[1]));
    assert_eq!(response["outputs"][0]["parameters"]["binary_data_size"], json!(bytes.len()));
    let found: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    assert_close(&found, &floats(&expected[&names[1]]));
    assert_close(&listed(&response["outputs"][1]), &floats(&expected[&names[0]]));
}

#[test]
fn bodies_may_be_compressed() {
    let server = shared();
    let rows = vec![[0.5f32, -1.0]; 8];
    let text = json!({"inputs": [{"name": "x", "shape": [8, 2], "datatype": "FP32", "data": rows}],
        "id": "a".repeat(2000)});
    let text = text.to_string();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(text.as_bytes()).expect("memory");
    let mut deflate = ZlibEncoder::new(Vec::new(), Compression::fast());
    deflate.write_all(text.as_bytes()).expect("memory");
    let bodies = [("gzip", gzip.finish().expect("memory")), ("deflate", deflate.finish().expect("memory"))];
    for (encoding, body) in &bodies {
        let headers = [("Content-Encoding", *encoding), ("Accept-Encoding", *encoding)];
        let answer = post(server.http, "/v2/models/double/infer", &headers, body);
        assert_eq!((answer.status, answer.header("content-encoding")), (200, Some(*encoding)), "{}", answer.text());
        let mut plain = String::new();
        match *encoding {
            "gzip" => GzDecoder::new(&*answer.body).read_to_string(&mut plain),
            _ => ZlibDecoder::new(&*answer.body).read_to_string(&mut plain),
        }
        .expect("it is compressed so");
        let response: Value = serde_json::from_str(&plain).expect("it is JSON");
        assert_eq!(listed(&response["outputs"][0])[..2], [1.0, -2.0]);
    }
    let cut = &bodies[0].1[..20];
    assert_eq!(post(server.http, "/v2/models/double/infer", &[("Content-Encoding", "gzip")], cut).status, 400);
    assert_eq!(post(server.http, "/v2/models/double/infer", &[("Content-Encoding", "br")], cut).status, 400);
    // What is small compressed and large otherwise is bounded, too.
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(&vec![b' '; 8 << 20]).expect("memory");
    let bomb = bomb.finish().expect("memory");
    assert_eq!(post(server.http, "/v2/models/double/infer", &[("Content-Encoding", "gzip")], &bomb).status, 413);
}

#[test]
fn every_type_goes_in_and_comes_out() {
    let server = shared();
    for binary in [false, true] {
        let mut inputs = Vec::new();
        for dtype in DType::ALL {
            let name = gristmill_serve::protocol::Datatype::from(dtype).name();
            let data = match dtype {
                DType::Bool => json!([true, false, true]),
                DType::I64 => json!([1, 0, -9_000_000_000i64]),
                DType::U64 => json!([1, 0, u64::MAX]),
                dtype if dtype.is_float() => json!([1.5, 0.0, -2.0]),
                _ => json!([1, 0, 100]),
            };
            inputs.push(json!({"name": dtype.to_string(), "shape": [3], "datatype": name, "data": data}));
        }
        let request = json!({"inputs": inputs, "parameters": {"binary_data_output": binary}});
        let answer = post_json(server.http, "/v2/models/typed/infer", &request);
        assert_eq!(answer.status, 200, "{}", answer.text());
        if binary {
            let (response, bytes) = split(&answer);
            let sizes = response["outputs"].as_array().expect("a list").iter().map(|o| &o["parameters"]["binary_data_size"]);
            let sum: u64 = sizes.map(|size| size.as_u64().expect("a number")).sum();
            assert_eq!(sum, bytes.len() as u64);
            continue;
        }
        let response = answer.json();
        for (output, input) in response["outputs"].as_array().expect("a list").iter().zip(&inputs) {
            assert_eq!((&output["data"], &output["datatype"]), (&input["data"], &input["datatype"]), "{output}");
        }
    }
}

#[test]
fn classes_are_the_greatest_elements() {
    let server = shared();
    let request = json!({"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 3]}],
        "outputs": [{"name": "y", "parameters": {"classification": 1}}]});
    let response = post_json(server.http, "/v2/models/double/infer", &request).json();
    assert_eq!(response["outputs"][0], json!({"name": "y", "datatype": "BYTES", "shape": [1, 1], "data": ["6.000000:1"]}));
}

#[test]
fn what_is_wrong_has_its_code_and_a_sentence() {
    let server = shared();
    let infer = "/v2/models/double/infer";
    let input = |name: &str, shape: Value, datatype: &str, data: Value| json!({"inputs": [{"name": name, "shape": shape, "datatype": datatype, "data": data}]});
    let good = input("x", json!([1, 2]), "FP32", json!([1, 2]));
    assert_eq!(post_json(server.http, infer, &good).status, 200);
    let twice = json!({"inputs": [good["inputs"][0], good["inputs"][0]]});
    for (status, path, request, says) in [
        (400, infer, input("z", json!([1, 2]), "FP32", json!([1, 2])), "expected `x`"),
        (400, infer, input("x", json!([1, 3]), "FP32", json!([1, 2, 3])), "expected the shape [-1, 2]"),
        (400, infer, input("x", json!([2]), "FP32", json!([1, 2])), "expected the shape"),
        (400, infer, input("x", json!([1, 2]), "INT32", json!([1, 2])), "expected the datatype FP32"),
        (400, infer, input("x", json!([1, 2]), "BYTES", json!(["a", "b"])), "expected the datatype FP32"),
        (400, infer, input("x", json!([1, 2]), "FP31", json!([1, 2])), "expected a datatype among"),
        (400, infer, input("x", json!([1, 2]), "FP32", json!([1])), "expected 8 bytes"),
        (400, infer, input("x", json!([1, 2]), "FP32", json!([1, 2, 3])), "more elements than the 2"),
        (400, infer, input("x", json!([1, 2]), "FP32", json!([1, "2"])), "found text"),
        (400, infer, input("x", json!([9, 2]), "FP32", json!(vec![0; 18])), "expected at most 8 rows"),
        (400, infer, input("x", json!([-1, 2]), "FP32", json!([1, 2])), "-1"),
        (413, infer, input("x", json!([u64::MAX, 2]), "FP32", json!([])), "too large"),
        (413, infer, input("x", json!(vec![1; 9]), "FP32", json!([1])), "rank 9"),
        (400, infer, json!({"inputs": []}), "input `x` is missing"),
        (400, infer, json!({"input": []}), "missing field `inputs`"),
        (400, infer, twice, "given twice"),
        (400, infer, json!({"inputs": good["inputs"], "outputs": [{"name": "q"}]}), "expected `y`"),
        (400, infer, json!({"inputs": good["inputs"], "parameters": {"timeout": -1}}), "from 0 on"),
        (400, infer, json!({"inputs": good["inputs"], "parameters": {"sequence_id": 3}}), "has no states"),
        (400, infer, json!({"inputs": good["inputs"], "parameters": {"sequence_start": true}}), "has no states"),
        (400, infer, json!({"inputs": good["inputs"], "parameters": {"sequence_id": -3}}), "number from 0 on, or text"),
        (501, infer, json!({"inputs": good["inputs"], "parameters": {"shared_memory_region": "a"}}), "not implemented"),
        (404, "/v2/models/other/infer", good.clone(), "no model `other`"),
        (404, "/v2/models/double/versions/2/infer", good.clone(), "expected 1"),
        (404, "/v2/models/..%2Fdouble/infer", good.clone(), "no model"),
        (400, "/v2/models/%FF/infer", good.clone(), "Bad Request"),
        (413, "/v2/repository/index", json!("a".repeat(70_000)), "Payload Too Large"),
        (404, "/v3", good.clone(), "no such path"),
        (404, "/v2/repository/models/..%2F..%2Fetc/load", json!({}), "no model"),
        (501, "/v2/repository/models/double/load", json!({"parameters": {"config": "{}"}}), "not implemented"),
        (405, "/v2/health/live", json!({}), "no such method"),
    ] {
        let answer = post_json(server.http, path, &request);
        assert_eq!(answer.status, status, "{path} {request}: {}", answer.text());
        assert!(answer.error().contains(says), "expected `{says}` in `{}`", answer.error());
    }
    for text in ["", "{", "[1]", "{\"inputs\":[{\"name\":\"x\",\"shape\":[1,2],\"datatype\":\"FP32\",\"data\":[NaN,1]}]}"] {
        assert_eq!(post(server.http, infer, &[], text.as_bytes()).status, 400, "{text}");
    }
    let nested = format!("{{\"inputs\":{}", "[".repeat(100_000));
    assert_eq!(post(server.http, infer, &[], nested.as_bytes()).status, 400);
    assert_eq!(post(server.http, infer, &[], &vec![b' '; (1 << 20) + 1]).status, 413);
    for length in ["99999999999999999999", "-1", "x", "3"] {
        let answer = post(server.http, infer, &[("Inference-Header-Content-Length", length)], good.to_string().as_bytes());
        assert_eq!(answer.status, 400, "{length}");
    }
}

#[test]
fn a_refusal_reaches_a_client_that_still_sends() {
    let mut connection = Kept::new(shared().http);
    let body = vec![b' '; 300_000];
    for _ in 0..20 {
        assert_eq!(connection.ask(&kept("/v2/models/nothing/infer", &[], &body)).status, 404);
        assert_eq!(connection.ask(&kept("/v2/nothing", &[], &body)).status, 404);
        assert_eq!(connection.ask(&kept("/v2/repository/index", &[], b"")).status, 200);
    }
}

#[test]
fn what_is_counted_is_shown() {
    let repository = empty("counted");
    put(&repository, "double", &crate::repositories::times(2.0, 2), "");
    let server = ready(&repository, |_| {});
    let request = json!({"inputs": [{"name": "x", "shape": [3, 2], "datatype": "FP32", "data": vec![1; 6]}]});
    assert_eq!(post_json(server.http, "/v2/models/double/infer", &request).status, 200);
    assert_eq!(post_json(server.http, "/v2/models/double/infer", &json!({"inputs": []})).status, 400);
    let statistics = server.statistics("double");
    assert_eq!((&statistics["inference_count"], &statistics["execution_count"]), (&json!(3), &json!(1)));
    let counts = &statistics["inference_stats"];
    assert_eq!((&counts["success"]["count"], &counts["fail"]["count"]), (&json!(1), &json!(1)));
    let metrics = server.get("/metrics").text();
    for line in [
        "gristmill_requests_total{model=\"double\",protocol=\"http\",tenant=\"\",code=\"ok\"} 1",
        "gristmill_requests_total{model=\"double\",protocol=\"http\",tenant=\"\",code=\"invalid_argument\"} 1",
        "gristmill_queue_requests 0",
        "gristmill_ready 1",
        "gristmill_model_loads_total{model=\"double\"} 1",
    ] {
        assert!(metrics.contains(line), "expected `{line}` in\n{metrics}");
    }
}
