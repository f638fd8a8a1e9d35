//! A graph with the gradients of some of its values.

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, ValueId, Writer};
use crate::ops::gradient::gradient;
use crate::ops::variable::variable;
use crate::tensor::DType;
use std::collections::HashMap;

/// A copy of a graph with an output `gradient.NAME` for each of the values named in `subjects`: how the values named in `of` change with it.
/// A subject may be a constant.
///
/// A value of `of` that is a scalar counts for itself. Of any other, an input `upstream.NAME` of its type says what a change of each element
/// is worth; `upstream` names those values.
///
/// # Errors
/// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for a name that the graph does not have. Nodes in between that have no gradient are
/// found when the graph is planned.
pub fn with_gradients(graph: &Graph, of: &[&str], upstream: &[&str], subjects: &[&str]) -> Result<Graph> {
    let find = |name: &str| {
        let found = graph.find(name);
        found.ok_or_else(|| Error::invalid_argument(format!("the graph has no value `{name}`")))
    };
    let mut writer = Writer::rewriting(graph);
    let mut variables = HashMap::new();
    for name in subjects {
        let subject = find(name)?;
        if graph.constant(subject).is_some() && !variables.contains_key(&subject) {
            let value = writer.value(&format!("variable.{name}"), None);
            writer.redirect(subject, value);
            writer.push(Node::new(name, variable(), vec![Some(subject)], vec![Some(value)]));
            variables.insert(subject, value);
        }
    }
    let differentiable = |name: &str| find(name).map(|id| Some(variables.get(&id).copied().unwrap_or(id)));
    let mut inputs: Vec<Option<ValueId>> = of.iter().map(|name| differentiable(name)).collect::<Result<_>>()?;
    let declared = graph.dtypes();
    for name in of {
        inputs.push(if upstream.contains(name) {
            let dtype = declared.get(find(name)?.index()).copied().flatten();
            // What is not known before the shapes are has the type of what it is asked about.
            let subject = subjects.first().map(|subject| find(subject)).transpose()?;
            let dtype = dtype.or_else(|| declared.get(subject?.index()).copied().flatten()).unwrap_or(DType::F32);
            Some(writer.declare(&format!("upstream.{name}"), dtype, None))
        } else {
            None
        });
    }
    for name in subjects {
        inputs.push(differentiable(name)?);
    }
    let names: Vec<String> = subjects.iter().map(|name| format!("gradient.{name}")).collect();
    let outputs: Vec<ValueId> = names.iter().map(|name| writer.value(name, None)).collect();
    let node = Node::new("gradient", gradient(of.len()), inputs, outputs.iter().copied().map(Some).collect());
    writer.push(node);
    for (name, output) in names.iter().zip(outputs) {
        writer.output(name, output)?;
    }
    writer.finish()
}
