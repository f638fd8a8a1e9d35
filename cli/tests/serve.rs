//! `gristmill serve` as a process: it says where it listens, answers, and ends well.

use crate::support::{command, models};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("it reads");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("it answers");
    text
}

#[test]
fn serve_answers_and_ends_at_a_signal() {
    let repository = std::env::temp_dir().join(format!("gristmill-serve-{}", std::process::id()));
    fs::create_dir_all(repository.join("digits")).expect("it can be made");
    fs::copy(models().join("digit_cnn/model.onnx"), repository.join("digits/model.onnx")).expect("it can be copied");
    fs::write(repository.join("digits/model.toml"), "[batching]\nrows = [1]\n").expect("it can be written");
    let folder = repository.to_string_lossy();
    let mut command = command(&["serve", &folder, "--http", "127.0.0.1:0", "--grpc", "off", "--drain-delay", "0.1"]);
    let mut server = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary was built beside this test");
    let lines = BufReader::new(server.stdout.take().expect("it is piped")).lines();
    let address = lines.map_while(Result::ok).find_map(|line| line.strip_prefix("http: ").map(String::from));
    let address = address.expect("it says where it listens");
    let start = Instant::now();
    while !get(&address, "/v2/health/ready").starts_with("HTTP/1.1 200") {
        assert!(start.elapsed() < Duration::from_secs(120), "it is never ready");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(get(&address, "/v2/models/digits").contains("\"shape\":[-1,1,28,28]"));
    Command::new("kill").arg(server.id().to_string()).status().expect("it can be told to end");
    let output = server.wait_with_output().expect("it ends");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {log}", output.status);
    assert!(log.contains("loaded model=\"digits\"") && log.contains("ending"), "{log}");
    fs::remove_dir_all(&repository).expect("it can be removed");
}
