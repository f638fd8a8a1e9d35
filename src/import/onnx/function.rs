//! Graphs within nodes: calls of model-local functions, which are inlined, and the branches of an If.

use super::attributes::Attributes;
use super::importer::Importer;
use super::order;
use super::proto::{FunctionProto, NodeProto};
use super::scope::{Scope, versions};
use crate::error::{Error, Result};
use crate::graph::{Node, ValueId};
use crate::ops::branch::{self, Branch};
use std::sync::Arc;

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

    /// Imports an If: one of its branches in its place where the condition is a constant, else both, to be chosen from when it is known.
    pub(super) fn branch(
        &mut self,
        node: &'m NodeProto,
        inputs: &[Option<ValueId>],
        attributes: &Attributes<'m>,
    ) -> Result<Vec<Option<ValueId>>> {
        let condition =
            inputs.first().copied().flatten().ok_or_else(|| Error::invalid_model("If needs input 0, which is missing"))?;
        let known = self.current.known(condition).and_then(|c| c.as_slice::<bool>().ok().and_then(|s| s.first().copied()));
        if let Some(known) = known {
            return self.taken(node, if known { "then_branch" } else { "else_branch" }, attributes);
        }
        let mut arguments = vec![Some(condition)];
        let mut one = |name: &str| -> Result<Branch> {
            let (graph, captured) = self.apart(name, |importer| importer.taken(node, name, attributes))?;
            let inputs = captured.into_iter().map(|value| match arguments.iter().position(|a| *a == Some(value)) {
                Some(index) => index,
                None => {
                    arguments.push(Some(value));
                    arguments.len().saturating_sub(1)
                }
            });
            Ok(Branch { inputs: inputs.collect(), graph: Arc::new(graph) })
        };
        let op = branch::branch(one("then_branch")?, one("else_branch")?);
        let prefix = self.scope()?.prefix.clone();
        let value = |name: &String| (!name.is_empty()).then(|| self.current.writer.value(&format!("{prefix}{name}"), None));
        let outputs: Vec<Option<ValueId>> = node.output.iter().map(value).collect();
        self.current.writer.push(Node::new(&format!("{prefix}{}", order::name(node)), op, arguments, outputs.clone()));
        Ok(outputs)
    }

    /// Imports one branch of an If into the graph that is being built. Gives the values of its outputs.
    fn taken(&mut self, node: &'m NodeProto, branch: &str, attributes: &Attributes<'m>) -> Result<Vec<Option<ValueId>>> {
        let graph = attributes
            .graph(branch)?
            .ok_or_else(|| Error::invalid_model(format!("If needs attribute `{branch}`, which is missing")))?;
        if node.output.len() != graph.output.len() {
            return Err(Error::invalid_model(format!(
                "If has {} outputs, but its {branch} makes {}",
                node.output.len(),
                graph.output.len()
            )));
        }
        let outer = self.scope()?.attributes.clone();
        let scope = Scope { attributes: outer, prefix: self.inner_prefix(node)?, nested: true, ..Scope::default() };
        self.inside(scope, |importer| {
            importer.enter(graph)?;
            importer.nodes(&graph.node)?;
            graph.output.iter().map(|output| importer.resolve(&output.name)).collect()
        })
    }

    /// The prefix of names inside a node of the innermost scope.
    fn inner_prefix(&mut self, node: &'m NodeProto) -> Result<String> {
        let prefix = format!("{}{}/", self.scope()?.prefix, order::name(node));
        self.spend(prefix.len())?;
        Ok(prefix)
    }

    fn inside<T>(&mut self, mut scope: Scope<'m>, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
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
