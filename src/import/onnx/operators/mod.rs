//! The import table: one row for every operator and every form it took over the operator set versions. A row turns the
//! node of a file into nodes of the graph, in the newest form.

mod attention;
mod creation;
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
mod window;

use super::row::{Row, row};
use crate::error::{Error, Result};

/// Every row.
pub(super) fn rows() -> impl Iterator<Item = &'static Row> {
    [
        attention::ROWS,
        creation::ROWS,
        elementwise::ROWS,
        image::ROWS,
        indexing::ROWS,
        linear::ROWS,
        loss::ROWS,
        movement::ROWS,
        normalization::ROWS,
        quantization::ROWS,
        recurrent::ROWS,
        reduction::ROWS,
        window::ROWS,
    ]
    .into_iter()
    .flatten()
}

/// The row of an operator at a version.
pub(super) fn find(domain: &str, name: &str, version: i64) -> Result<&'static Row> {
    let mut forms = rows().filter(|row| row.domain == domain && row.name == name).peekable();
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
