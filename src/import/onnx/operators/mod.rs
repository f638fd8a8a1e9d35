//! The import table: one row for every operator and every form it took over the operator set versions. A row turns the
//! node of a file into nodes of the graph, in the newest form.

mod attention;
mod creation;
mod dropout;
mod elementwise;
mod image;
mod indexing;
mod linear;
mod loss;
mod movement;
mod normalization;
mod quantization;
mod recurrent;
mod reduction;
mod sequence;
mod window;

use super::row::{Row, row};
use crate::error::{Error, Result};

/// The rows of each family, under what README.md calls it.
pub(super) const FAMILIES: &[(&str, &[Row])] = &[
    ("matrices", linear::ROWS),
    ("convolution, pooling", window::ROWS),
    ("images", image::ROWS),
    ("attention", attention::ROWS),
    ("recurrent", recurrent::ROWS),
    ("normalization, softmax", normalization::ROWS),
    ("reduction", reduction::ROWS),
    ("gather, scatter, scans", indexing::ROWS),
    ("shape and movement", movement::ROWS),
    ("shapes and constants", creation::ROWS),
    ("arithmetic", elementwise::ARITHMETIC),
    ("activation", elementwise::ACTIVATION),
    ("logic and types", elementwise::LOGIC),
    ("quantization", quantization::ROWS),
    ("losses", loss::ROWS),
    ("sequences and optionals", sequence::ROWS),
];

/// The row of an operator at a version.
pub(super) fn find(domain: &str, name: &str, version: i64) -> Result<&'static Row> {
    let rows = FAMILIES.iter().flat_map(|(_, rows)| *rows);
    let mut forms = rows.filter(|row| row.domain == domain && row.name == name).peekable();
    let shown = if domain.is_empty() { "ai.onnx" } else { domain };
    if forms.peek().is_none() {
        return Err(Error::unsupported(format!("operator {name} of domain {shown}, version {version}, is not implemented")));
    }
    let (mut first, mut last) = (i64::MAX, 0);
    for form in forms {
        if form.versions.contains(&version) {
            return Ok(form);
        }
        first = first.min(*form.versions.start());
        last = last.max(*form.versions.end());
    }
    Err(Error::unsupported(format!(
        "operator {name} of domain {shown} is implemented for versions {first} to {last}, and the model asks for version {version}"
    )))
}
