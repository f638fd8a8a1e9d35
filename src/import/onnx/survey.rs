//! All that a model asks for and that is not implemented, for the error that refuses it.

use super::proto::{FunctionProto, ModelProto, NodeProto};
use super::scope::{normal, versions};
use super::{flow, operators, order};
use crate::error::{Error, ErrorKind};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// The most operators that an error lists.
const MOST: usize = 50;

/// One operator that is not implemented.
struct Missing {
    /// What says so.
    message: String,
    /// How many nodes ask for it.
    count: usize,
    /// The path of the first of them.
    first: String,
}

/// Nodes, and the operator set versions under which they stand.
type Body<'m> = (&'m [NodeProto], Rc<HashMap<&'m str, i64>>);

/// The error of an import that stopped at an operator, with all such operators of the model; any other error as it is.
pub(super) fn complete(error: Error, model: &ModelProto) -> Error {
    if error.kind() != ErrorKind::Unsupported {
        return error;
    }
    let missing = survey(model);
    let nodes = missing.iter().fold(0usize, |sum, m| sum.saturating_add(m.count));
    if nodes < 2 || !missing.iter().any(|m| m.message == error.message()) {
        return error;
    }
    let item = |m: &Missing| match m.count {
        1 => format!("{} (1 node, {})", m.message, m.first),
        count => format!("{} ({count} nodes, the first {})", m.message, m.first),
    };
    let mut list: Vec<String> = missing.iter().take(MOST).map(item).collect();
    if missing.len() > MOST {
        list.push(format!("and {} more operators", missing.len().saturating_sub(MOST)));
    }
    let complete = Error::unsupported(list.join("; "));
    match error.node() {
        Some(node) => complete.at(node),
        None => complete,
    }
}

/// The operators of all nodes, those of nested graphs and of functions that are called among them.
fn survey(model: &ModelProto) -> Vec<Missing> {
    let (Some(graph), Ok(own)) = (&model.graph, versions(&model.opset_import)) else { return Vec::new() };
    let key = |f: &'_ FunctionProto| (normal(&f.domain).to_string(), f.name.clone(), f.overload.clone());
    let functions: HashMap<_, &FunctionProto> = model.functions.iter().map(|f| (key(f), f)).collect();
    let (mut missing, mut places): (Vec<Missing>, HashMap<String, usize>) = Default::default();
    let mut called = HashSet::new();
    let mut waiting: Vec<Body> = vec![(&graph.node, Rc::new(own))];
    while let Some((nodes, versions)) = waiting.pop() {
        for node in nodes {
            for inner in node.attribute.iter().flat_map(|a| a.g.iter().chain(&a.graphs)) {
                waiting.push((&inner.node, versions.clone()));
            }
            let domain = normal(&node.domain);
            let name = (domain.to_string(), node.op_type.clone(), node.overload.clone());
            if let Some(function) = functions.get(&name) {
                if let (true, Ok(own)) = (called.insert(name), super::scope::versions(&function.opset_import)) {
                    waiting.push((&function.node, Rc::new(own)));
                }
                continue;
            }
            let Some(version) = versions.get(domain) else { continue };
            let Err(error) = operators::find(domain, &node.op_type, *version) else { continue };
            if domain.is_empty() && flow::OPERATORS.contains(&node.op_type.as_str()) {
                continue;
            }
            let place = *places.entry(error.message().to_string()).or_insert(missing.len());
            match missing.get_mut(place) {
                Some(found) => found.count = found.count.saturating_add(1),
                None => missing.push(Missing { message: error.message().into(), count: 1, first: order::path(node) }),
            }
        }
    }
    missing
}
