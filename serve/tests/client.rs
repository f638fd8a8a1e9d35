//! HTTP as far as the tests need it, by hand, so that they can also send what no client would.

use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A response.
#[derive(Debug)]
pub struct Answer {
    /// 0 where the connection was closed without one.
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    /// The message of a failure.
    pub fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_else(|| panic!("no error: {}", self.text())).to_string()
    }
}

/// Sends bytes and reads what comes until the server closes.
pub fn exchange(address: SocketAddr, request: &[u8]) -> Answer {
    let mut stream = send(address, request);
    let mut all = Vec::new();
    // A server that refuses a body may close before it read all.
    stream.read_to_end(&mut all).ok();
    parse(&all)
}

/// Sends bytes. The server may have closed before all of them were taken.
pub fn send(address: SocketAddr, request: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_secs(100))).expect("it can be set");
    stream.write_all(request).ok();
    stream
}

pub fn parse(all: &[u8]) -> Answer {
    let Some(end) = all.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Answer { status: 0, headers: vec![], body: all.to_vec() };
    };
    let head = String::from_utf8_lossy(&all[..end]).into_owned();
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or(0);
    let headers = lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.into(), value.into())).collect();
    Answer { status, headers, body: all[end + 4..].to_vec() }
}

/// A request as bytes.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

pub fn get(address: SocketAddr, path: &str) -> Answer {
    exchange(address, &request("GET", path, &[], &[]))
}

pub fn post(address: SocketAddr, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    exchange(address, &request("POST", path, headers, body))
}

pub fn post_json(address: SocketAddr, path: &str, body: &Value) -> Answer {
    post(address, path, &[], body.to_string().as_bytes())
}
