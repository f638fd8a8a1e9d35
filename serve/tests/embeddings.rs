//! `/v1/embeddings`, against vectors that are computed here.

use crate::client::{Answer, post_json};
use crate::repositories::{attending, attending_table, empty, put};
use crate::support::{Running, ready};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

const PATH: &str = "/v1/embeddings";

const WORDS: [&str; 10] = ["[UNK]", "a", "kernel", "ground", "the", "wheat", "and", "stone", "[CLS]", "[SEP]"];

/// Words by their numbers in a table, between a first and a last token.
fn tokenizer() -> Value {
    let vocabulary: serde_json::Map<String, Value> = WORDS.iter().enumerate().map(|(k, word)| ((*word).into(), json!(k))).collect();
    let special = |id: &str, k: usize| (id.to_string(), json!({"id": id, "ids": [k], "tokens": [id]}));
    let specials: serde_json::Map<String, Value> = [special("[CLS]", 8), special("[SEP]", 9)].into_iter().collect();
    let part = |id: &str| json!({"SpecialToken": {"id": id, "type_id": 0}});
    let text = json!({"Sequence": {"id": "A", "type_id": 0}});
    json!({
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0},
        "padding": null,
        "added_tokens": [],
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [part("[CLS]"), text, part("[SEP]")],
            "pair": [part("[CLS]"), text, part("[SEP]")],
            "special_tokens": specials,
        },
        "decoder": null,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"},
    })
}

fn put_with_tokenizer(repository: &Path, name: &str, config: &str) {
    put(repository, name, &attending(), config);
    fs::write(repository.join(name).join("tokenizer.json"), tokenizer().to_string()).expect("it can be written");
}

const PAD: &str = "[batching.pad]\ndimension = \"sequence\"\nlengths = [4, 8]\nmask = \"mask\"\n";

const HIDDEN: &str = "[embeddings]\noutput = \"hidden\"\ninput = \"ids\"\n";

fn server(name: &str) -> Running {
    let repository = empty(name);
    put_with_tokenizer(&repository, "mean", &format!("{PAD}{HIDDEN}dimensions = [2]\n"));
    put_with_tokenizer(&repository, "cls", &format!("{PAD}{HIDDEN}pooling = \"cls\"\nnormalize = false\n"));
    put_with_tokenizer(&repository, "last", &format!("{PAD}{HIDDEN}pooling = \"last\"\nmax_tokens = 5\n"));
    put_with_tokenizer(&repository, "pooled", &format!("{PAD}[embeddings]\noutput = \"pooled\"\ninput = \"ids\"\n"));
    put_with_tokenizer(&repository, "plain", "");
    ready(&repository, |_| {})
}

/// What the model gives for tokens, in double precision: a row of four numbers for each.
fn hidden(tokens: &[usize]) -> Vec<[f64; 4]> {
    let table = attending_table();
    let row = |token: usize| -> [f64; 4] { std::array::from_fn(|k| f64::from(table[4 * token + k])) };
    let rows: Vec<[f64; 4]> = tokens.iter().map(|token| row(*token)).collect();
    let attended = |query: &[f64; 4]| {
        let score = |key: &[f64; 4]| query.iter().zip(key).map(|(a, b)| a * b).sum::<f64>().exp();
        let scores: Vec<f64> = rows.iter().map(score).collect();
        let all: f64 = scores.iter().sum();
        std::array::from_fn(|k| scores.iter().zip(&rows).map(|(score, row)| score * row[k]).sum::<f64>() / all)
    };
    rows.iter().map(attended).collect()
}

fn mean(rows: &[[f64; 4]]) -> Vec<f64> {
    (0..4).map(|k| rows.iter().map(|row| row[k]).sum::<f64>() / rows.len() as f64).collect()
}

fn of_length_1(vector: &[f64]) -> Vec<f64> {
    let length = vector.iter().map(|value| value * value).sum::<f64>().sqrt();
    vector.iter().map(|value| value / length).collect()
}

fn ask(server: &Running, model: &str, input: Value) -> Answer {
    post_json(server.http, PATH, &json!({"model": model, "input": input}))
}

/// The vectors of an answer in the order of its texts, and its number of tokens.
fn vectors(answer: &Answer) -> (Vec<Vec<f64>>, u64) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    assert_eq!(answer["object"], "list");
    let data = answer["data"].as_array().expect("a list");
    let vector = |(index, entry): (usize, &Value)| {
        assert_eq!((&entry["object"], &entry["index"]), (&json!("embedding"), &json!(index)));
        entry["embedding"].as_array().expect("a list").iter().map(|value| value.as_f64().expect("a number")).collect()
    };
    assert_eq!(answer["usage"]["prompt_tokens"], answer["usage"]["total_tokens"]);
    (data.iter().enumerate().map(vector).collect(), answer["usage"]["total_tokens"].as_u64().expect("a number"))
}

fn close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= 1e-5 * (1.0 + expected.abs()), "expected {expected}, found {found}");
    }
}

#[test]
fn texts_become_vectors() {
    let server = server("embeddings");
    // "A kernel" and so on, between the first and the last token; "rye" is no word of the table.
    let (texts, tokens) =
        (["A kernel", "the stone ground the wheat", "rye"], [&[8, 1, 2, 9][..], &[8, 4, 7, 3, 4, 5, 9], &[8, 0, 9]]);
    let (found, used) = vectors(&ask(&server, "mean", json!(texts)));
    assert_eq!((found.len(), used), (3, 14));
    for (found, tokens) in found.iter().zip(tokens) {
        close(found, &of_length_1(&mean(&hidden(tokens))));
    }
    let (one, used) = vectors(&ask(&server, "cls", json!(texts[1])));
    assert_eq!((one.len(), used), (1, 7));
    close(&one[0], &hidden(tokens[1])[0]);
    let (last, _) = vectors(&ask(&server, "last", json!(texts[0])));
    close(&last[0], &of_length_1(&hidden(tokens[0])[3]));
    let (pooled, _) = vectors(&ask(&server, "pooled", json!(texts)));
    close(&pooled[1], &of_length_1(&mean(&hidden(tokens[1]))));
    // Tokens are taken as they are.
    let (lists, used) = vectors(&ask(&server, "mean", json!([[8, 1, 2, 9], [5]])));
    assert_eq!(used, 5);
    close(&lists[0], &found[0]);
    close(&lists[1], &of_length_1(&mean(&hidden(&[5]))));
    close(&vectors(&ask(&server, "mean", json!([5]))).0[0], &lists[1]);
}

#[test]
fn vectors_may_be_bytes_and_shorter() {
    let server = server("embeddings_forms");
    let (floats, _) = vectors(&ask(&server, "mean", json!("wheat and stone")));
    let request = json!({"model": "mean", "input": "wheat and stone", "encoding_format": "base64", "user": "somebody"});
    let answer = post_json(server.http, PATH, &request).json();
    let bytes = STANDARD.decode(answer["data"][0]["embedding"].as_str().expect("text")).expect("it is base64");
    let found: Vec<f64> = bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes).into()).collect();
    close(&found, &floats[0]);
    let short = post_json(server.http, PATH, &json!({"model": "mean", "input": "wheat and stone", "dimensions": 2}));
    close(&vectors(&short).0[0], &of_length_1(&floats[0][..2]));
}

#[test]
fn many_texts_are_rows_of_few_batches() {
    let server = server("embeddings_many");
    let texts: Vec<String> =
        (0..40).map(|k| WORDS[1 + k % 7].to_string() + " wheat" + if k % 2 == 0 { " and the" } else { "" }).collect();
    let (found, _) = vectors(&ask(&server, "mean", json!(texts)));
    for (text, found) in texts.iter().zip(&found) {
        let place = |word: &str| WORDS.iter().position(|other| *other == word).expect("it is one");
        let tokens: Vec<usize> = [8].into_iter().chain(text.split(' ').map(place)).chain([9]).collect();
        close(found, &of_length_1(&mean(&hidden(&tokens))));
    }
    let statistics = server.statistics("mean");
    assert_eq!(statistics["inference_count"], json!(40));
    assert!(statistics["execution_count"].as_u64().expect("a number") < 40, "{statistics}");
}

#[test]
fn what_is_wrong_is_said_in_the_form_of_the_interface() {
    let server = server("embeddings_wrong");
    let text = json!("wheat");
    for (status, request, kind, parameter, says) in [
        (404, json!({"model": "other", "input": text}), "invalid_request_error", json!("model"), "no model `other`"),
        (400, json!({"model": "plain", "input": text}), "invalid_request_error", json!("model"), "makes no vectors of texts"),
        (400, json!({"model": "mean"}), "invalid_request_error", json!(null), "missing field `input`"),
        (400, json!({"model": "mean", "input": 7}), "invalid_request_error", json!(null), "expected `input` to be a text"),
        (400, json!({"model": "mean", "input": []}), "invalid_request_error", json!("input"), "from 1 to 2048"),
        (400, json!({"model": "mean", "input": ""}), "invalid_request_error", json!("input"), "an empty one"),
        (400, json!({"model": "mean", "input": [[]]}), "invalid_request_error", json!("input"), "a token at least"),
        (400, json!({"model": "mean", "input": [[10]]}), "invalid_request_error", json!("input"), "tokens below 10, found 10"),
        (400, json!({"model": "mean", "input": vec![1; 9]}), "invalid_request_error", json!("input"), "at most 8 tokens, found 9"),
        (400, json!({"model": "last", "input": "a a a a"}), "invalid_request_error", json!("input"), "at most 5 tokens, found 6"),
        (400, json!({"model": "mean", "input": vec!["a"; 2049]}), "invalid_request_error", json!("input"), "found 2049"),
        (400, json!({"model": "mean", "input": text, "dimensions": 3}), "invalid_request_error", json!("dimensions"), "among 2, 4"),
        (400, json!({"model": "cls", "input": text, "dimensions": 2}), "invalid_request_error", json!("dimensions"), "among 4"),
        (
            400,
            json!({"model": "mean", "input": text, "encoding_format": "hex"}),
            "invalid_request_error",
            json!(null),
            "unknown variant",
        ),
    ] {
        let answer = post_json(server.http, PATH, &request);
        assert_eq!(answer.status, status, "{request}: {}", answer.text());
        let error = &answer.json()["error"];
        assert_eq!((&error["type"], &error["param"]), (&json!(kind), &parameter), "{error}");
        assert!(error["code"].is_string(), "{error}");
        let message = error["message"].as_str().expect("text");
        assert!(message.contains(says), "expected `{says}` in `{message}`");
    }
    assert_eq!(vectors(&ask(&server, "mean", json!("wheat"))).1, 3);
}

#[test]
fn a_model_without_a_tokenizer_is_not_for_texts() {
    let repository = empty("embeddings_bare");
    put(&repository, "bare", &attending(), &format!("{PAD}{HIDDEN}"));
    put_with_tokenizer(&repository, "output", &format!("{PAD}[embeddings]\noutput = \"none\"\ninput = \"ids\"\n"));
    put_with_tokenizer(&repository, "input", &format!("{PAD}[embeddings]\noutput = \"hidden\"\n"));
    put_with_tokenizer(&repository, "mask", HIDDEN);
    put_with_tokenizer(&repository, "torn", &format!("{PAD}{HIDDEN}"));
    fs::write(repository.join("torn/tokenizer.json"), "{").expect("it can be written");
    let server = ready(&repository, |_| {});
    let index = crate::client::post(server.http, "/v2/repository/index", &[], b"").json();
    for (name, says) in [
        ("bare", "expected a file tokenizer.json"),
        ("output", "the model has no output `none`"),
        ("input", "the model has no input `input_ids`"),
        ("mask", "input `mask` is none that texts have"),
        ("torn", "is no tokenizer"),
    ] {
        let line = index.as_array().expect("a list").iter().find(|line| line["name"] == name).expect("it is listed");
        assert!(line["reason"].as_str().expect("a reason").contains(says), "{line}");
    }
}
