//! Bodies and headers that no client means to send: each is answered, by no code of the server's own fault, and the server goes on.

use crate::client::{exchange, post_json};
use crate::rest::shared;
use proptest::prelude::*;
use serde_json::json;

/// A good request: JSON, and the bytes of a tensor behind it.
fn good() -> (String, Vec<u8>) {
    let input = json!({"name": "x", "shape": [2, 2], "datatype": "FP32", "parameters": {"binary_data_size": 16}});
    (json!({"id": "1", "inputs": [input], "outputs": [{"name": "y"}]}).to_string(), vec![0; 16])
}

/// What may stand where a value stood.
const WORDS: [&str; 14] = [
    "null",
    "-1",
    "1e999",
    "18446744073709551616",
    "[]",
    "{}",
    "\"\"",
    "true",
    "[[[[[[",
    "NaN",
    "\"\\ud800\"",
    "0.5",
    "\"BYTES\"",
    ",",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn changed_requests_are_answered(
        at in any::<prop::sample::Index>(),
        word in prop::sample::select(&WORDS[..]),
        cut in prop::option::of(any::<prop::sample::Index>()),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        length in prop::option::of(prop_oneof![0..400u64, Just(u64::MAX)]),
        replace in 0..12usize,
    ) {
        let (json, tail) = good();
        let at = at.index(json.len());
        let end = (at + replace).min(json.len());
        let json = [&json[..at], word, &json[end..]].concat();
        let stated = length.unwrap_or(json.len() as u64);
        let mut body = [json.as_bytes(), &tail].concat();
        for (place, value) in flips {
            let place = place.index(body.len());
            body[place] = value;
        }
        if let Some(cut) = cut {
            body.truncate(cut.index(body.len()));
        }
        let head = format!(
            "POST /v2/models/double/infer HTTP/1.1\r\nHost: a\r\nConnection: close\r\nInference-Header-Content-Length: {stated}\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        let answer = exchange(shared().http, &[head.as_bytes(), &body].concat());
        prop_assert!([200, 400, 413, 501].contains(&answer.status), "{} {}", answer.status, answer.text());
        if answer.status != 200 {
            prop_assert!(!answer.error().is_empty());
        }
    }

    #[test]
    fn any_bytes_are_answered_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300), line in 0..3usize) {
        let start = ["", "POST /v2/models/double/infer HTTP/1.1\r\nConnection: close\r\n", "GET /v2"][line];
        let request = [start.as_bytes(), &bytes, b"\r\n\r\n"].concat();
        let mut stream = crate::client::send(shared().http, &request);
        // Whoever sends half a request must not keep the test.
        stream.shutdown(std::net::Shutdown::Write).ok();
        let mut all = Vec::new();
        std::io::Read::read_to_end(&mut stream, &mut all).ok();
        let status = String::from_utf8_lossy(&all).get(9..12).and_then(|code| code.parse::<u16>().ok());
        prop_assert!(status.is_none_or(|status| status < 500), "{status:?}");
    }
}

#[test]
fn the_server_goes_on() {
    let request = json!({"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]});
    assert_eq!(post_json(shared().http, "/v2/models/double/infer", &request).status, 200);
    assert_eq!(shared().get("/v2/health/live").status, 200);
}
