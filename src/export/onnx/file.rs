//! The state of an export that all graphs of a file share.

use super::form::NodeForm;
use std::collections::HashSet;

/// The oldest operator set that is written.
const OLDEST: i64 = 21;

/// The IR version that came with an operator set.
const IR_VERSIONS: &[(i64, i64)] = &[(22, 10), (23, 11), (24, 12), (27, 13), (i64::MAX, 14)];

/// Names, each given once.
#[derive(Debug, Default)]
pub(super) struct Names(HashSet<String>);

impl Names {
    /// The name, or one like it where it is taken.
    pub(super) fn unique(&mut self, name: &str) -> String {
        let name = if name.is_empty() { "value" } else { name };
        let mut found = name.to_string();
        let mut number = 1;
        while !self.0.insert(found.clone()) {
            found = format!("{name}.{number}");
            number += 1;
        }
        found
    }
}

/// What is known of a file that is being written.
#[derive(Debug, Default)]
pub(super) struct File {
    /// Of values.
    pub(super) values: Names,
    /// Of nodes.
    pub(super) nodes: Names,
    /// Nodes that have no form, and why.
    pub(super) failures: Vec<String>,
    newest: i64,
    /// Other domains than the default one.
    pub(super) domains: Vec<&'static str>,
}

impl File {
    /// Takes note of what a node asks for.
    pub(super) fn holds(&mut self, form: &NodeForm) {
        match form.domain {
            "" => self.newest = self.newest.max(form.since),
            domain if !self.domains.contains(&domain) => self.domains.push(domain),
            _ => {}
        }
    }

    /// The operator set that has all nodes.
    pub(super) fn opset(&self) -> i64 {
        self.newest.max(OLDEST)
    }

    /// The IR version of the file.
    pub(super) fn ir_version(&self) -> i64 {
        IR_VERSIONS.iter().find(|(opset, _)| self.opset() <= *opset).map_or(14, |(_, version)| *version)
    }
}
