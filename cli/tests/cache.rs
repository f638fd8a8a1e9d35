//! Programs that share a cache folder.

use crate::support::{command, model, text};
use std::fs;
use std::process::{Command, Stdio};

#[test]
fn processes_share_a_folder() {
    let folder = std::env::temp_dir().join(format!("gristmill-cache-{}", std::process::id()));
    let command = |name: &str, arguments: &[&str]| -> Command {
        let mut command = command(&[&arguments[..1], &[&model(name)], &arguments[1..]].concat());
        command.env("XDG_CACHE_HOME", &folder).env("LOCALAPPDATA", &folder).env("HOME", &folder);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        command
    };
    let names = ["digit_cnn", "gpt2_tiny"];
    let explained = |name: &str| {
        let output = command(name, &["explain", "--tune", "on"]).output().expect("the binary was built beside this test");
        assert!(output.status.success());
        text(&output.stdout)
    };
    let measured = (0..20).any(|_| {
        let started = names.map(|name| command(name, &["run", "--random", "1", "--tune", "on"]).spawn());
        for process in started {
            let output = process.and_then(|p| p.wait_with_output()).expect("the binary was built beside this test");
            assert!(output.status.success());
        }
        names.iter().all(|name| explained(name).contains("measured"))
    });
    // It is missing where nothing could be kept.
    let _ = fs::remove_dir_all(&folder);
    assert!(measured, "measurement told nothing in twenty tries");
}
