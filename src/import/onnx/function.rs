//! Calls of model-local functions, which are inlined, and the scopes of graphs within nodes.

use super::attributes::Attributes;
use super::importer::Importer;
use super::order;
use super::proto::{FunctionProto, NodeProto};
use super::scope::{Scope, versions};
use crate::error::{Error, Result};
use crate::graph::ValueId;

/// How deep functions and branches may nest.
const MAX_DEPTH: usize = 64;

impl<'m> Importer<'m> {
    /// Imports the body of a function in place of a node that calls it. Gives the values of the function's outputs.
    pub(super) fn call(
        &mut self,
        function: &'m FunctionProto,
        node: &'m NodeProto,
        inputs: &[Option<ValueId>],
        attributes: Attributes<'m>,
    ) -> Result<Vec<Option<ValueId>>> {
        let name = &function.name;
        if inputs.len() > function.input.len() || node.output.len() > function.output.len() {
            return Err(Error::invalid_model(format!(
                "function `{name}` takes {} inputs and makes {} outputs; the node has {} and {}",
                function.input.len(),
                function.output.len(),
                inputs.len(),
                node.output.len()
            )));
        }
        if let Some(missing) = function.attribute.iter().find(|a| !attributes.has(a)) {
            // Attributes without a default are still optional where every use passes a reference on.
            log::debug!("function `{name}` is called without attribute `{missing}`");
        }
        let mut scope = Scope {
            versions: versions(&function.opset_import)?,
            attributes: attributes.or(&function.attribute_proto),
            prefix: self.inner_prefix(node)?,
            ..Scope::default()
        };
        scope.declared.extend(function.value_info.iter().map(|info| (info.name.as_str(), info)));
        for (index, name) in function.input.iter().enumerate() {
            scope.bind(name, inputs.get(index).copied().flatten())?;
        }
        self.inside(scope, |importer| {
            importer.nodes(&function.node)?;
            node.output
                .iter()
                .zip(&function.output)
                .map(|(wanted, name)| if wanted.is_empty() { Ok(None) } else { importer.resolve(name) })
                .collect()
        })
    }

    /// The prefix of names inside a node of the innermost scope.
    pub(super) fn inner_prefix(&mut self, node: &'m NodeProto) -> Result<String> {
        let prefix = format!("{}{}/", self.scope()?.prefix, order::name(node));
        self.spend(prefix.len())?;
        Ok(prefix)
    }

    pub(super) fn inside<T>(&mut self, mut scope: Scope<'m>, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        scope.depth = self.depth();
        if self.scopes.len() >= MAX_DEPTH {
            return Err(Error::limit(format!("functions nest more than {MAX_DEPTH} deep, or call themselves")));
        }
        self.scopes.push(scope);
        let result = work(self);
        self.scopes.pop();
        result
    }
}
