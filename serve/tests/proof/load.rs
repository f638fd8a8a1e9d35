//! Load: connections that stay, clients that ask one request after another, and clients that ask by the clock.

use crate::client::Answer;
use crate::support::Running;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// A connection that is used for one request after another.
pub(crate) struct Kept {
    address: SocketAddr,
    stream: BufReader<TcpStream>,
}

impl Kept {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Kept { address, stream: BufReader::new(connect(address)) }
    }

    /// Sends a request and reads its answer; a connection that ended is taken anew for the next.
    pub(crate) fn ask(&mut self, request: &[u8]) -> Answer {
        self.exchange(request).unwrap_or_else(|_| {
            *self = Kept::new(self.address);
            Answer { status: 0, headers: vec![], body: vec![] }
        })
    }

    fn exchange(&mut self, request: &[u8]) -> Result<Answer> {
        self.stream.get_mut().write_all(request)?;
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| std::io::Error::other("no status"))?;
        let (mut headers, mut length, mut closes) = (vec![], 0, false);
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            match name {
                "content-length" => length = value.parse().map_err(std::io::Error::other)?,
                "connection" => closes |= value == "close",
                _ => {}
            }
            headers.push((name.to_string(), value.to_string()));
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        if closes {
            *self = Kept::new(self.address);
        }
        Ok(Answer { status, headers, body })
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the server listens");
    stream.set_nodelay(true).expect("it can be set");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("it can be set");
    stream
}

/// A request whose connection stays.
pub(crate) fn kept(path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n", body.len());
    headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
    [head.as_bytes(), b"\r\n", body].concat()
}

/// A request for all outputs of a model, one row of zeros, in the binary form.
pub(crate) fn zeros(server: &Running, model: &str) -> Vec<u8> {
    let described = server.get(&format!("/v2/models/{model}")).json();
    let (mut inputs, mut length) = (vec![], 0);
    for input in described["inputs"].as_array().expect("inputs") {
        let extents = input["shape"].as_array().expect("a shape").iter();
        let shape: Vec<i64> = extents.map(|extent| extent.as_i64().expect("an extent").max(1)).collect();
        let bits = match input["datatype"].as_str().expect("a type") {
            "INT64" | "FP64" => 64,
            "INT32" | "FP32" => 32,
            other => panic!("no zeros of {other} here"),
        };
        let bytes = shape.iter().product::<i64>() * bits / 8;
        length += usize::try_from(bytes).expect("it fits");
        let parameters = json!({"binary_data_size": bytes});
        inputs.push(json!({"name": input["name"], "shape": shape, "datatype": input["datatype"], "parameters": parameters}));
    }
    let body: Value = json!({"inputs": inputs, "parameters": {"binary_data_output": true}});
    let mut body = body.to_string().into_bytes();
    let json_length = body.len().to_string();
    body.resize(body.len() + length, 0);
    kept(&format!("/v2/models/{model}/infer"), &[("Inference-Header-Content-Length", &json_length)], &body)
}

/// Numbers that follow from a seed (Marsaglia, "Xorshift RNGs", 2003).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Random(seed | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// Between 0 and 1, neither included.
    fn unit(&mut self) -> f64 {
        ((self.next() >> 12) as f64 + 0.5) / (1u64 << 52) as f64
    }
}

/// What became of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) status: u16,
    /// From when it was to be asked.
    pub(crate) seconds: f64,
}

/// Clients that each wait for their answer before they ask again.
pub(crate) fn in_turns(address: SocketAddr, request: &[u8], clients: usize, duration: Duration) -> Vec<Outcome> {
    let start = Instant::now();
    let ask = || {
        let (mut connection, mut outcomes) = (Kept::new(address), vec![]);
        while start.elapsed() < duration {
            let asked = Instant::now();
            let status = connection.ask(request).status;
            outcomes.push(Outcome { status, seconds: asked.elapsed().as_secs_f64() });
        }
        outcomes
    };
    together(clients, ask)
}

/// Requests at random moments, so many a second, whether or not those before were answered. As many threads as may wait at once.
pub(crate) fn by_the_clock(address: SocketAddr, request: &[u8], rate: f64, duration: Duration, threads: usize) -> Vec<Outcome> {
    let (mut random, mut at, mut moments) = (Random::new(0x5eed), 0.0, vec![]);
    loop {
        at -= random.unit().ln() / rate;
        if at > duration.as_secs_f64() {
            break;
        }
        moments.push(Duration::from_secs_f64(at));
    }
    let (start, next) = (Instant::now(), AtomicUsize::new(0));
    let ask = || {
        let (mut connection, mut outcomes) = (Kept::new(address), vec![]);
        while let Some(moment) = moments.get(next.fetch_add(1, Ordering::Relaxed)) {
            let due = start + *moment;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let status = connection.ask(request).status;
            outcomes.push(Outcome { status, seconds: due.elapsed().as_secs_f64() });
        }
        outcomes
    };
    let outcomes = together(threads, ask);
    assert_eq!(outcomes.len(), moments.len());
    outcomes
}

fn together(count: usize, ask: impl Fn() -> Vec<Outcome> + Sync) -> Vec<Outcome> {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|_| scope.spawn(&ask)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a client does not panic")).collect()
    })
}

/// A quantile of the milliseconds of those with a status.
pub(crate) fn quantile(outcomes: &[Outcome], status: u16, part: f64) -> f64 {
    let mut times: Vec<f64> = outcomes.iter().filter(|outcome| outcome.status == status).map(|outcome| outcome.seconds).collect();
    times.sort_by(f64::total_cmp);
    let at = (times.len().saturating_sub(1) as f64 * part).round() as usize;
    times.get(at).map_or(f64::NAN, |seconds| seconds * 1e3)
}

pub(crate) fn count(outcomes: &[Outcome], status: u16) -> usize {
    outcomes.iter().filter(|outcome| outcome.status == status).count()
}

/// Memory of this process, clients and server together, in MiB.
pub(crate) fn resident() -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").expect("Linux says it");
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it is there");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
}
