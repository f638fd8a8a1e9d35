//! `gristmill train`, run as a user runs it.

mod refused;
mod runs;

use crate::support::root;
use gristmill::Tensor;
use gristmill::train::Safetensors;
use std::fs;
use std::path::{Path, PathBuf};

/// A folder of a test, which is removed when the test passes.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("gristmill-train-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a folder can be made");
        Folder(path)
    }

    /// A place in it, as an argument.
    pub fn at(&self, name: &str) -> String {
        self.0.join(name).to_string_lossy().into_owned()
    }

    /// Writes a file, and gives its place.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        fs::write(self.0.join(name), text).expect("a file can be written");
        self.at(name)
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.0.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.join(name).exists()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

/// The digits that come with the repository.
pub fn digits() -> PathBuf {
    root().join("examples/training/data/digits")
}

/// A configuration that a run can begin with: LeNet on some digits. Its data lie in this folder.
pub fn configuration(data: &Path) -> String {
    format!(
        r#"[model]
network = "lenet"
seed = 1

[loss]
kind = "cross_entropy"
prediction = "logits"
target = "label"

[data]
folder = {:?}
training = "train.safetensors"
held_out = "held_out.safetensors"
batch_size = 8
conversions.image = {{ divisor = 255, mean = 0.1307, deviation = 0.3081 }}

[optimizer]
kind = "adam"
learning_rate = 1e-3

[training]
steps = 6
log_every = 1
evaluate_every = 3
metrics = ["loss", "accuracy"]

[checkpoints]
every = 2

[output]
log = "log.jsonl"
curve = "curve.svg"
onnx = "model.onnx"
weights = "weights.safetensors"
"#,
        data.display().to_string()
    )
}

/// A file of examples with these tensors.
pub fn tensors(tensors: Vec<(&str, Tensor)>) -> Vec<u8> {
    let tensors = tensors.into_iter().map(|(name, tensor)| (name.to_string(), tensor)).collect();
    let mut bytes = Vec::new();
    Safetensors { metadata: vec![], tensors }.write(&mut bytes).expect("tensors can be written");
    bytes
}

/// A few digits, as a file.
pub fn some_digits(count: usize) -> Vec<u8> {
    let file = Safetensors::load(digits().join("held_out.safetensors")).expect("digits that can be read");
    let part = |name: &str| {
        let whole = file.get(name).expect("a tensor of the digits");
        let dims: Vec<usize> = [count].into_iter().chain(whole.shape()[1..].iter().copied()).collect();
        let bytes = dims.iter().product::<usize>() * whole.dtype().size();
        let ty = gristmill::TensorType::new(whole.dtype(), dims);
        Tensor::from_bytes(ty, &whole.bytes()[..bytes]).expect("a part of a tensor")
    };
    tensors(vec![("image", part("image")), ("label", part("label"))])
}
