//! `gristmill serve` as a process: it says where it listens, answers, and ends well.

use crate::support::{command, gristmill, models, root};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn get(address: &str, path: &str) -> String {
    get_with(address, path, "")
}

/// With lines of more headers.
fn get_with(address: &str, path: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n").expect("it reads");
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

/// A tenant whose key is `secret` or `other`.
fn tenant(key: &str) -> String {
    let hash = match key {
        "secret" => "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b",
        _ => "d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa",
    };
    format!("[[tenant]]\nname = \"a\"\nsha256 = \"{hash}\"\n")
}

#[test]
fn keys_are_read_again_at_a_signal() {
    let repository = std::env::temp_dir().join(format!("gristmill-keys-{}", std::process::id()));
    fs::create_dir_all(&repository).expect("it can be made");
    let keys = repository.join("keys.toml");
    fs::write(&keys, tenant("secret")).expect("it can be written");
    let (folder, file) = (repository.to_string_lossy(), keys.to_string_lossy());
    let options = ["--http", "127.0.0.1:0", "--grpc", "off", "--drain-delay", "0", "--log-format", "json", "--keys", &file];
    let mut command = command(&[&["serve", &*folder], &options[..]].concat());
    let mut server = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary was built beside this test");
    let lines = BufReader::new(server.stdout.take().expect("it is piped")).lines();
    let address = lines.map_while(Result::ok).find_map(|line| line.strip_prefix("http: ").map(String::from));
    let address = address.expect("it says where it listens");
    let lets_in = |key: &str| get_with(&address, "/v2", &format!("Authorization: Bearer {key}\r\n")).starts_with("HTTP/1.1 200");
    assert!(lets_in("secret") && !lets_in("other"));
    // A file that looks as if it had not changed, so that nothing but the signal tells.
    let time = fs::metadata(&keys).and_then(|data| data.modified()).expect("it has a time");
    let new = repository.join("new.toml");
    fs::write(&new, tenant("other")).expect("it can be written");
    fs::File::options().write(true).open(&new).and_then(|file| file.set_modified(time)).expect("it can be set");
    fs::rename(&new, &keys).expect("it can be renamed");
    std::thread::sleep(Duration::from_millis(1500));
    assert!(lets_in("secret") && !lets_in("other"));
    let signal = |name: &str| Command::new("kill").args([name, &server.id().to_string()]).status().expect("it can be told");
    signal("-HUP");
    let start = Instant::now();
    while !lets_in("other") {
        assert!(start.elapsed() < Duration::from_secs(60), "the keys are not read");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(!lets_in("secret"));
    signal("-TERM");
    let output = server.wait_with_output().expect("it ends");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {log}", output.status);
    assert!(!log.contains("secret"), "no key stands in the log: {log}");
    let line = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    let lines: Vec<serde_json::Value> = log.lines().filter(|line| line.starts_with('{')).map(line).collect();
    assert!(lines.iter().any(|line| line["message"] == "the keys were read" && line["tenants"] == 1), "{log}");
    let refused = lines.iter().find(|line| line["message"] == "refused").unwrap_or_else(|| panic!("one was: {log}"));
    assert_eq!((&refused["code"], refused["trace"].as_str().map(str::len)), (&"unauthenticated".into(), Some(32)));
    fs::remove_dir_all(&repository).expect("it can be removed");
}

/// The list behind an instruction of the Dockerfile, in its JSON form.
fn instruction(dockerfile: &str, name: &str) -> Vec<String> {
    let lines: Vec<&str> = dockerfile.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).collect();
    let [line] = lines[..] else { panic!("{name} stands there {} times", lines.len()) };
    serde_json::from_str(line).unwrap_or_else(|e| panic!("{name}: {e}"))
}

#[test]
fn the_container_serves_as_the_binary_is_told_to() {
    const INSTRUCTIONS: [&str; 9] = ["FROM", "WORKDIR", "COPY", "RUN", "USER", "VOLUME", "EXPOSE", "ENTRYPOINT", "CMD"];
    let text = fs::read_to_string(root().join("Dockerfile")).expect("it is there");
    let mut goes_on = false;
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
        let first = line.split(' ').next().expect("a line has a word");
        assert!(goes_on || INSTRUCTIONS.contains(&first), "{line}");
        goes_on = line.ends_with('\\');
    }
    assert!(!goes_on, "the last instruction does not end");
    let words = [instruction(&text, "ENTRYPOINT"), instruction(&text, "CMD")].concat();
    assert!(words[0] == "gristmill" && text.contains("/target/release/gristmill /usr/local/bin/gristmill"), "{words:?}");
    // What comes before `--help` must be options that there are, with values that they may have.
    let arguments: Vec<&str> = words[1..].iter().map(String::as_str).chain(["--help"]).collect();
    let output = gristmill(&arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for port in text.lines().filter_map(|line| line.strip_prefix("EXPOSE ")).flat_map(|ports| ports.split(' ')) {
        assert!(words.iter().any(|word| *word == format!("0.0.0.0:{port}")), "{port}");
    }
}
