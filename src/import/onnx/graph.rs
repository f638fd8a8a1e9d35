//! `ModelProto` to [`Graph`].

use super::attributes::Attributes;
use super::context::Context;
use super::dtype::{Declared, declared};
use super::external::Folder;
use super::importer::Importer;
use super::proto::{ModelProto, NodeProto, ValueInfoProto};
use super::scope::normal;
use super::{flow, operators, order};
use crate::error::{Error, Result};
use crate::graph::{Form, Graph, ValueId};
use crate::ops::flow::arrange::identity;
use std::collections::{HashMap, HashSet};

/// What one node costs besides the names it carries.
const NODE_COST: usize = 512;

/// The graph of a model.
pub(super) fn import(model: &ModelProto, folder: Folder) -> Result<Graph> {
    let graph = model.graph.as_ref().ok_or_else(|| Error::invalid_model("the model has no graph"))?;
    let mut importer = Importer::new(model, graph, folder)?;
    importer.enter(graph)?;
    let inputs = importer.declare_inputs(&graph.input, model.ir_version)?;
    importer.nodes(&graph.node)?;
    importer.declare_defaults()?;
    importer.declare_outputs(&graph.output, inputs)?;
    importer.current.writer.finish()
}

impl<'m> Importer<'m> {
    /// Declares the graph's inputs. One that has an initializer is a constant, which a run may replace in files from IR version 4 on;
    /// earlier ones had to list all their initializers.
    fn declare_inputs(&mut self, inputs: &'m [ValueInfoProto], ir_version: i64) -> Result<HashMap<ValueId, &'m str>> {
        let (mut names, mut values) = (HashSet::new(), HashMap::new());
        for info in inputs {
            if info.name.is_empty() {
                return Err(Error::invalid_model("a graph input has no name"));
            }
            if !names.insert(&info.name) {
                return Err(Error::invalid_model(format!("two graph inputs are named `{}`", info.name)));
            }
            if self.scope()?.initializers.contains_key(info.name.as_str()) {
                if ir_version >= 4
                    && let Ok(declared) = declared(info)
                    && let Some(value) = self.find(&info.name)?.flatten()
                {
                    let place = names.len().saturating_sub(1);
                    self.defaults.push((value, declared.clone(), place));
                    // What a run gives has the declared type; that of the default may be narrower.
                    self.current.types.insert(value, declared);
                }
                continue;
            }
            let declared = declared(info)?;
            let value = self.current.writer.declare_form(&info.name, declared.form, declared.dtype, declared.dims.clone());
            self.current.types.insert(value, declared);
            self.scope()?.bind(&info.name, Some(value))?;
            values.insert(value, info.name.as_str());
        }
        Ok(values)
    }

    /// Declares which constants a run may replace: those that the import itself did not look into.
    fn declare_defaults(&mut self) -> Result<()> {
        for (value, Declared { form, dtype, dims }, place) in std::mem::take(&mut self.defaults) {
            let constant = self.current.constants.get(&value);
            if form == Form::Tensor && constant.is_some_and(|c| !c.settled.get() && c.tensor.dtype() == dtype) {
                self.current.writer.default_input(value, dims, place)?;
            }
        }
        Ok(())
    }

    /// Declares the graph's outputs. One that has another name already, as an input, constant or output, is an Identity of it.
    fn declare_outputs(&mut self, outputs: &'m [ValueInfoProto], inputs: HashMap<ValueId, &'m str>) -> Result<()> {
        if outputs.is_empty() {
            return Err(Error::invalid_model("the graph has no outputs"));
        }
        let (mut names, mut taken) = (HashSet::new(), inputs);
        for info in outputs {
            let name = info.name.as_str();
            if !names.insert(name) {
                return Err(Error::invalid_model(format!("two graph outputs are named `{name}`")));
            }
            let missing = || Error::invalid_model(format!("output `{name}` is made by no node, input or initializer"));
            let mut value = self.find(name)?.flatten().ok_or_else(missing)?;
            let known = taken.get(&value).copied().or_else(|| self.current.constants.get(&value).map(|c| c.name.as_str()));
            if known.is_some_and(|known| known != name) {
                value = self.current.writer.add(&format!("{name}.identity"), identity(), &[Some(value)]);
            }
            taken.insert(value, name);
            self.current.writer.output(name, value)?;
        }
        Ok(())
    }

    /// Imports nodes, in an order in which every value is made before it is used.
    pub(super) fn nodes(&mut self, nodes: &'m [NodeProto]) -> Result<()> {
        order::order(nodes)?.into_iter().try_for_each(|node| {
            let path = self.scopes.last().map(|s| format!("{}:{}{}", node.op_type, s.prefix, order::name(node)));
            self.node(node).map_err(|e| e.at(path.unwrap_or_default()))
        })
    }

    fn node(&mut self, node: &'m NodeProto) -> Result<()> {
        let (prefix, outer) = self.scopes.last().map(|s| (s.prefix.clone(), s.attributes.clone())).unwrap_or_default();
        let links = node.input.len().saturating_add(node.output.len());
        let text = node.output.iter().map(String::len).fold(prefix.len().saturating_mul(links), usize::saturating_add);
        self.spend(NODE_COST.saturating_add(text).saturating_add(links.saturating_mul(64)))?;
        let mut inputs = Vec::with_capacity(node.input.len());
        for name in &node.input {
            inputs.push(if name.is_empty() { None } else { self.resolve(name)? });
        }
        // Trailing arguments that are left out say nothing.
        while inputs.last().is_some_and(Option::is_none) {
            inputs.pop();
        }
        let attributes = Attributes::of(&node.attribute, &outer)?;
        let domain = normal(&node.domain);
        let results = if let Some(function) = self.functions.get(&(domain, node.op_type.as_str(), node.overload.as_str())).copied()
        {
            self.call(function, node, &inputs, attributes)?
        } else if domain.is_empty() && flow::OPERATORS.contains(&node.op_type.as_str()) {
            self.control(node, &inputs, &attributes)?
        } else {
            let version = self.scopes.iter().rev().find_map(|s| s.versions.get(domain)).copied();
            let version = version.ok_or_else(|| {
                Error::invalid_model(format!("the model uses domain `{domain}`, but imports no operator set of it"))
            })?;
            let row = operators::find(domain, &node.op_type, version)?;
            row.check(&inputs, node.output.len())?;
            let mut context = Context::new(self, node, attributes, version, inputs);
            (row.build)(&mut context)?;
            context.into_results()?
        };
        for (name, value) in node.output.iter().zip(results).filter(|(name, _)| !name.is_empty()) {
            let value = value.ok_or_else(|| Error::invalid_model(format!("output `{name}` is never made")))?;
            let scope = self.scope()?;
            scope.bind(name, Some(value))?;
            if let Some(info) = scope.declared.get(name.as_str())
                && let Ok(declared) = declared(info)
            {
                self.current.types.insert(value, declared);
            }
        }
        Ok(())
    }
}
