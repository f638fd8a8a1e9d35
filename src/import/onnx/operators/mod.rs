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

use super::context::Context;
use crate::error::{Error, Result};
use crate::graph::ValueId;
use std::ops::RangeInclusive;

/// The newest operator set version of the default domain that the table covers.
pub(super) const NEWEST: i64 = 28;

/// One operator in one of its forms.
#[derive(Debug)]
pub(super) struct Row {
    /// Empty for the default domain.
    pub(super) domain: &'static str,
    pub(super) name: &'static str,
    /// The operator set versions that have this form.
    pub(super) versions: RangeInclusive<i64>,
    /// How many inputs a node may have; those within the lower bound must be there.
    pub(super) inputs: RangeInclusive<usize>,
    /// The most outputs a node may have.
    pub(super) outputs: usize,
    pub(super) build: fn(&mut Context<'_, '_>) -> Result<()>,
}

/// A row of the default domain that holds to the newest version.
const fn row(
    name: &'static str,
    since: i64,
    inputs: RangeInclusive<usize>,
    outputs: usize,
    build: fn(&mut Context<'_, '_>) -> Result<()>,
) -> Row {
    Row { domain: "", name, versions: since..=NEWEST, inputs, outputs, build }
}

impl Row {
    /// The same up to an older version.
    const fn until(mut self, last: i64) -> Row {
        self.versions = *self.versions.start()..=last;
        self
    }

    /// Checks how many arguments and results a node has.
    pub(super) fn check(&self, inputs: &[Option<ValueId>], outputs: usize) -> Result<()> {
        let (least, most) = (*self.inputs.start(), *self.inputs.end());
        let plural = |count: usize, what: &str| if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") };
        if inputs.len() > most {
            return Err(Error::invalid_model(format!(
                "{} takes at most {}, found {}",
                self.name,
                plural(most, "input"),
                inputs.len()
            )));
        }
        if let Some(index) = (0..least).find(|i| inputs.get(*i).copied().flatten().is_none()) {
            return Err(Error::invalid_model(format!("{} needs input {index}, which is missing", self.name)));
        }
        if outputs > self.outputs {
            return Err(Error::invalid_model(format!(
                "{} makes at most {}, found {outputs}",
                self.name,
                plural(self.outputs, "output")
            )));
        }
        Ok(())
    }
}

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
