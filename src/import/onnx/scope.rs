//! What names mean: one scope for the main graph, one for each function body or branch being inlined.

use super::attributes::Attributes;
use super::proto::{OperatorSetIdProto, TensorProto, ValueInfoProto};
use crate::error::{Error, Result};
use crate::graph::ValueId;
use std::collections::HashMap;

/// The names of one graph or function body.
#[derive(Debug, Default)]
pub(super) struct Scope<'m> {
    /// Values by name; `None` is an optional argument of a function that the caller left out.
    pub(super) values: HashMap<&'m str, Option<ValueId>>,
    /// Initializers that no node has used yet: they are converted when first used.
    pub(super) initializers: HashMap<&'m str, &'m TensorProto>,
    /// Types that the file declares for intermediate values.
    pub(super) declared: HashMap<&'m str, &'m ValueInfoProto>,
    /// Operator set version of each domain.
    pub(super) versions: HashMap<&'m str, i64>,
    /// Attributes of the node that calls this function.
    pub(super) attributes: Attributes<'m>,
    /// Stands before the names of values and nodes; empty in the main graph.
    pub(super) prefix: String,
    /// True for the branch of an If: it sees the names of the graph around it.
    pub(super) nested: bool,
    /// How many graphs stand around the one that its values are of.
    pub(super) depth: usize,
}

impl<'m> Scope<'m> {
    /// Makes a name mean a value.
    pub(super) fn bind(&mut self, name: &'m str, value: Option<ValueId>) -> Result<()> {
        match self.initializers.contains_key(name) || self.values.insert(name, value).is_some() {
            true => Err(Error::invalid_model(format!("value `{name}` is made twice"))),
            false => Ok(()),
        }
    }

    /// Adds initializers, which must have names of their own.
    pub(super) fn initialize(&mut self, initializers: &'m [TensorProto]) -> Result<()> {
        for tensor in initializers {
            if tensor.name.is_empty() {
                return Err(Error::invalid_model("an initializer has no name"));
            }
            if self.initializers.insert(&tensor.name, tensor).is_some() {
                return Err(Error::invalid_model(format!("two initializers are named `{}`", tensor.name)));
            }
        }
        Ok(())
    }
}

/// The domain as the import table writes it: the default one is empty.
pub(super) fn normal(domain: &str) -> &str {
    if domain == "ai.onnx" { "" } else { domain }
}

/// Versions by domain. A file that imports nothing predates the field and means version 1.
pub(super) fn versions(imports: &[OperatorSetIdProto]) -> Result<HashMap<&str, i64>> {
    let mut versions = HashMap::new();
    for import in imports {
        if import.version < 1 {
            return Err(Error::invalid_model(format!(
                "operator set `{}` of version {}: expected 1 or more",
                import.domain, import.version
            )));
        }
        let newest = versions.entry(normal(&import.domain)).or_insert(import.version);
        if *newest != import.version {
            return Err(Error::invalid_model(format!(
                "operator set `{}` is imported as version {newest} and as version {}",
                import.domain, import.version
            )));
        }
    }
    if imports.is_empty() {
        versions.insert("", 1);
    }
    Ok(versions)
}
