//! One row of the import table: an operator in one of the forms that it took over the operator set versions.

use super::context::Context;
use crate::error::{Error, Result};
use crate::graph::ValueId;
use std::ops::RangeInclusive;

/// The newest operator set version of the default domain that the table covers.
const NEWEST: i64 = 28;

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
pub(super) const fn row(
    name: &'static str,
    since: i64,
    inputs: RangeInclusive<usize>,
    outputs: usize,
    build: fn(&mut Context<'_, '_>) -> Result<()>,
) -> Row {
    Row { domain: "", name, versions: since..=NEWEST, inputs, outputs, build }
}

impl Row {
    /// Ends at an older version.
    pub(super) const fn until(mut self, last: i64) -> Row {
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
