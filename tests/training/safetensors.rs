//! Files of tensors: eight bytes of length, a JSON header, the data.

use gristmill::{DType, Tensor, TensorType};
use serde_json::Value as Json;
use std::path::PathBuf;

/// A file in memory.
pub struct Stored {
    header: Json,
    /// What the file says of itself.
    pub json: Json,
    data: Vec<u8>,
}

/// The folder of the fixtures.
fn folder() -> PathBuf {
    let own = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/training");
    std::env::var_os("GRISTMILL_TRAINING_FIXTURES").map_or_else(own, PathBuf::from)
}

impl Stored {
    /// All files of the fixtures, by their names without the ending.
    pub fn all() -> Vec<(String, Self)> {
        let entries = std::fs::read_dir(folder()).expect("a folder of fixtures").flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter_map(|name| name.strip_suffix(".safetensors").map(String::from)).collect();
        names.sort();
        names.into_iter().map(|name| (name.clone(), Stored::open(&format!("{name}.safetensors")))).collect()
    }

    /// A file of the fixtures.
    pub fn open(name: &str) -> Self {
        let path = folder().join(name);
        let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let length = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")) as usize;
        let header: Json = serde_json::from_slice(&bytes[8..8 + length]).expect("a JSON header");
        let text = header["__metadata__"]["json"].as_str().expect("metadata");
        Stored { json: serde_json::from_str(text).expect("JSON"), header, data: bytes[8 + length..].to_vec() }
    }

    /// The names of its tensors.
    pub fn names(&self) -> Vec<String> {
        let entries = self.header.as_object().expect("a header");
        entries.keys().filter(|name| *name != "__metadata__").cloned().collect()
    }

    /// A tensor by its name.
    pub fn tensor(&self, name: &str) -> Option<Tensor> {
        let entry = self.header.get(name)?;
        let dims: Vec<usize> = entry["shape"].as_array()?.iter().map(|d| d.as_u64().expect("an extent") as usize).collect();
        let range: Vec<usize> = entry["data_offsets"].as_array()?.iter().map(|d| d.as_u64().expect("an offset") as usize).collect();
        let dtype = match entry["dtype"].as_str()? {
            "F64" => DType::F64,
            "F32" => DType::F32,
            "I64" => DType::I64,
            "I32" => DType::I32,
            "BOOL" => DType::Bool,
            other => panic!("dtype {other}"),
        };
        Some(Tensor::from_bytes(TensorType::new(dtype, dims), &self.data[range[0]..range[1]]).expect("as many bytes"))
    }
}
