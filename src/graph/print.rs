//! Graphs as text, for people and snapshots.

use super::{Dim, Form, Graph, ValueId};
use std::fmt;

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dim::Known(n) => write!(f, "{n}"),
            Dim::Named(name) => f.write_str(name),
            Dim::Unknown => f.write_str("?"),
        }
    }
}

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |id: &Option<ValueId>| id.map_or("_".to_string(), |id| self.values[id.0].name.clone());
        let list = |ids: &[Option<ValueId>]| ids.iter().map(name).collect::<Vec<_>>().join(", ");
        writeln!(f, "graph {}", self.name)?;
        for input in &self.inputs {
            let dims = input.dims.as_ref().map_or("?".into(), |d| d.iter().map(ToString::to_string).collect::<Vec<_>>().join(","));
            let form = if input.form == Form::Tensor { String::new() } else { format!(", {}", input.form) };
            writeln!(f, "  input {}: {}[{dims}]{}", self.values[input.value.0].name, input.dtype, form)?;
        }
        for node in &self.nodes {
            let types: Vec<String> = node
                .outputs
                .iter()
                .flatten()
                .filter_map(|id| self.values[id.0].fact.as_ref())
                .map(|fact| fact.ty.to_string())
                .collect();
            writeln!(f, "  {} = {:?}({}) {}", list(&node.outputs), node.op, list(&node.inputs), types.join(" "))?;
        }
        writeln!(f, "  output {}", list(&self.outputs.iter().copied().map(Some).collect::<Vec<_>>()))?;
        for state in &self.states {
            writeln!(f, "  state {}: {} from {}", state.name, name(&Some(state.input)), name(&Some(state.output)))?;
        }
        Ok(())
    }
}
