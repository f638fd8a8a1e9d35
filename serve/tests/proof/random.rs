//! A million requests that no client means to send.

use super::load::{Kept, Random, kept};
use crate::client::send;
use crate::repositories::doubling;
use crate::support::ready;
use serde_json::json;
use std::io::Read;
use std::net::{Shutdown, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::{env, panic, thread};

/// Whole requests with random parts: HTTP, then frames of gRPC.
const REQUESTS: u64 = 1_000_000;
const THREADS: u64 = 4;

/// What may stand where something stood.
const WORDS: [&[u8]; 16] = [
    b"null",
    b"-1",
    b"1e999",
    b"18446744073709551616",
    b"[]",
    b"{}",
    b"\"\"",
    b"true",
    b"[[[[[[",
    b"NaN",
    b"\"\\ud800\"",
    b"\r\n",
    b"\0",
    b": ",
    b"9",
    b"\xff",
];

#[test]
#[ignore = "takes many minutes"]
fn a_million_random_requests() {
    let panics = &*Box::leak(Box::new(AtomicU64::new(0)));
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |information| {
        panics.fetch_add(1, Ordering::Relaxed);
        before(information);
    }));
    let requests = env::var("PROOF_REQUESTS").ok().and_then(|text| text.parse().ok()).unwrap_or(REQUESTS);
    let server = ready(&doubling("random", "[batching]\nrows = [1, 2]\n"), |settings| settings.max_connections = 1 << 16);
    let counts: Vec<[u64; 6]> = thread::scope(|scope| {
        let (http, grpc) = (server.http, server.grpc);
        let threads: Vec<_> = (0..THREADS)
            .map(|seed| {
                scope.spawn(move || {
                    over_grpc(grpc, seed, requests / THREADS / 20);
                    over_http(http, seed, requests / THREADS / 20 * 19)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a client does not panic")).collect()
    });
    let sum = |class: usize| counts.iter().map(|counts| counts[class]).sum::<u64>();
    assert_eq!(panics.load(Ordering::Relaxed), 0);
    assert_eq!(sum(5), 0, "answers that the server is at fault for");
    assert_eq!(server.get("/v2/health/ready").status, 200);
    assert_eq!(server.gauge("gristmill_queue_requests"), 0);
    println!(
        "{}",
        json!({"what": "random requests", "requests": requests, "answered_2xx": sum(2), "answered_4xx": sum(4), "closed": sum(0)})
    );
}

/// How many were answered by each class of status; 0: not, since the head was none. 501 is asked for by what is not implemented; 503 by deadlines.
fn over_http(address: SocketAddr, seed: u64, requests: u64) -> [u64; 6] {
    let mut random = Random::new(seed * 977 + 11);
    let mut connection = Kept::new(address);
    let mut counts = [0; 6];
    for _ in 0..requests {
        let (request, head_is_good) = changed(&mut random);
        if head_is_good {
            let status = connection.ask(&request).status;
            let class = if matches!(status, 501 | 503) { 4 } else { usize::from(status / 100) };
            counts[class] += 1;
        } else {
            // The server may wait for more of it: what is sent ends here.
            let mut stream = send(address, &request);
            stream.shutdown(Shutdown::Write).ok();
            let mut all = Vec::new();
            stream.read_to_end(&mut all).ok();
            let status = String::from_utf8_lossy(&all).get(9..12).and_then(|code| code.parse::<u16>().ok()).unwrap_or(0);
            let class = if matches!(status, 501 | 503 | 505) { 4 } else { usize::from(status / 100).min(5) };
            counts[class] += 1;
        }
    }
    counts
}

/// A request with random changes, and whether its head is as it should be, so that the server knows its length.
fn changed(random: &mut Random) -> (Vec<u8>, bool) {
    let input = json!({"name": "x", "shape": [1, 2], "datatype": "FP32", "parameters": {"binary_data_size": 8}});
    let parameters = json!({"timeout": 1_000_000, "priority": 1});
    let body = json!({"id": "1", "inputs": [input], "outputs": [{"name": "y"}], "parameters": parameters}).to_string();
    let mut length = body.len();
    let mut body = [body.as_bytes(), &[0; 8]].concat();
    for _ in 0..random.below(4) {
        change(random, &mut body);
    }
    if random.below(4) == 0 {
        length = random.below(body.len() * 2);
    }
    let paths =
        ["/v2/models/double/infer", "/v2/models/double/versions/1/infer", "/v2/repository/index", "/v2/models/double/config"];
    let path = if random.below(8) == 0 { paths[random.below(paths.len())] } else { paths[0] };
    let mut request = kept(path, &[("Inference-Header-Content-Length", &length.to_string())], &body);
    let bad_head = random.below(16) == 0;
    if bad_head {
        let mut head = request[..request.len() - body.len()].to_vec();
        change(random, &mut head);
        request = [&head[..], &body].concat();
    }
    (request, !bad_head)
}

/// Puts a word, other bytes or nothing in the place of some bytes.
fn change(random: &mut Random, bytes: &mut Vec<u8>) {
    let at = random.below(bytes.len() + 1);
    let end = (at + random.below(12)).min(bytes.len());
    match random.below(4) {
        0 => drop(bytes.splice(at..end, [])),
        1 => bytes.truncate(at),
        2 => bytes[at..end].iter_mut().for_each(|byte| *byte ^= 1 << random.below(8)),
        _ => drop(bytes.splice(at..end, WORDS[random.below(WORDS.len())].iter().copied())),
    }
}

/// A call as HTTP/2 has it (RFC 9113): preface, settings, a head in literals (RFC 7541, 6.2.2) and a message, with random changes after the preface.
/// Reads until the server closes.
fn over_grpc(address: SocketAddr, seed: u64, requests: u64) {
    let mut random = Random::new(seed * 1409 + 5);
    let frame = |kind: u8, flags: u8, stream: u32, payload: &[u8]| {
        let length = (payload.len() as u32).to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    };
    let literal = |name: &str, value: &str| {
        let text = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
        [&[0][..], &text(name), &text(value)].concat()
    };
    let head = [
        literal(":method", "POST"),
        literal(":scheme", "http"),
        literal(":path", "/inference.GRPCInferenceService/ModelInfer"),
        literal(":authority", "localhost"),
        literal("content-type", "application/grpc"),
        literal("te", "trailers"),
    ]
    .concat();
    // model_name = 1, then an input whose name is x.
    let message = [&[0x0a, 6][..], b"double", &[0x2a, 3, 0x0a, 1], b"x"].concat();
    let data = [&[0][..], &(message.len() as u32).to_be_bytes(), &message].concat();
    for _ in 0..requests {
        let mut bytes = [frame(4, 0, 0, &[]), frame(1, 4, 1, &head), frame(0, 1, 1, &data)].concat();
        for _ in 0..=random.below(2) {
            change(&mut random, &mut bytes);
        }
        let mut stream = send(address, &[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &bytes[..]].concat());
        stream.shutdown(Shutdown::Write).ok();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).ok();
    }
}
