//! ONNX, operator sets 1 to the newest.

mod attributes;
mod context;
mod dtype;
mod external;
mod flow;
mod frame;
mod function;
mod graph;
mod importer;
mod operators;
mod order;
mod proto;
mod row;
mod scope;
mod survey;
mod tensor;

pub use tensor::{structure_from_bytes, tensor_from_bytes};

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Form, Graph};
use external::Folder;
use prost::Message;
use prost::bytes::{Buf, Bytes};
use std::path::Path;

/// Every operator that is implemented, by families: the family's name, and the name of an operator for each of its forms.
pub fn supported() -> impl Iterator<Item = (&'static str, impl Iterator<Item = &'static str>)> {
    let rows = operators::FAMILIES.iter().map(|(family, rows)| (*family, rows.iter().map(|row| row.name).collect::<Vec<_>>()));
    rows.chain([("control flow", flow::OPERATORS.to_vec())]).map(|(family, names)| (family, names.into_iter()))
}

/// The graph of an ONNX file.
pub(super) fn load(path: &Path) -> Result<Graph> {
    let file = external::map(path)?;
    let folder = path.parent().map(|p| if p.as_os_str().is_empty() { Path::new(".") } else { p });
    decode(Bytes::from_owner(file), folder)
}

/// The graph of a serialized `ModelProto`.
pub(super) fn from_bytes(bytes: &[u8], folder: Option<&Path>) -> Result<Graph> {
    decode(bytes, folder)
}

/// The forms that a serialized `ModelProto` declares its outputs to have.
///
/// # Errors
/// [`InvalidModel`](crate::ErrorKind::InvalidModel) when the bytes are no model, or an output declares no type;
/// [`Unsupported`](crate::ErrorKind::Unsupported) for other types than those of inputs.
pub fn output_forms(bytes: &[u8]) -> Result<Vec<Form>> {
    let outputs = proto_of(bytes)?.graph.unwrap_or_default().output;
    outputs.iter().map(|info| Ok(dtype::declared(info)?.form)).collect()
}

fn proto_of(bytes: impl Buf) -> Result<proto::ModelProto> {
    let size = bytes.remaining();
    proto::ModelProto::decode(bytes).map_err(|e| {
        Error::new(ErrorKind::InvalidModel, format!("expected an ONNX model, found {size} bytes that do not decode as one"))
            .caused_by(e)
    })
}

fn decode(bytes: impl Buf, folder: Option<&Path>) -> Result<Graph> {
    let model = proto_of(bytes)?;
    graph::import(&model, Folder::new(folder)).map_err(|error| survey::complete(error, &model))
}
