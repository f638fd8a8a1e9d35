//! What the tests of the command line share: the files of the repository, and running the binary.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The folders of the models that come with the tests.
pub fn models() -> PathBuf {
    root().join("tests/models")
}

/// The file of one of these models.
pub fn model(name: &str) -> String {
    models().join(name).join("model.onnx").to_string_lossy().into_owned()
}

/// The binary, to be run in the repository.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gristmill"));
    if std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        // Without it some Vulkan drivers write a line to stderr.
        command.env("XDG_RUNTIME_DIR", std::env::temp_dir());
    }
    command.args(arguments).current_dir(root());
    command
}

/// Runs the binary to its end.
pub fn gristmill(arguments: &[&str]) -> Output {
    command(arguments).output().expect("the binary was built beside this test")
}

/// What a program wrote.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
