//! The checks that every graph passes, after it is built and after every pass.

use super::{Graph, Node, ValueId};
use crate::error::{Error, Result};
use std::collections::HashSet;

impl Graph {
    /// Puts the nodes in an order in which every value is made before it is used, keeping the given order where it can.
    pub(crate) fn sort(&mut self) -> Result<()> {
        for node in &self.nodes {
            if let Some(id) = node.inputs.iter().chain(&node.outputs).flatten().find(|id| id.0 >= self.values.len()) {
                return Err(Error::internal(format!("value {} does not exist", id.0)).at(&node.path));
            }
        }
        let producers = self.producers();
        // Depth first with an own stack: a hostile chain may be deeper than the thread's.
        let (mut state, mut order) = (vec![0u8; self.nodes.len()], Vec::with_capacity(self.nodes.len()));
        for start in 0..self.nodes.len() {
            let mut stack = vec![(start, 0)];
            while let Some((node, next)) = stack.pop() {
                if next == 0 {
                    if state[node] != 0 {
                        continue;
                    }
                    state[node] = 1;
                }
                let inputs = &self.nodes[node].inputs;
                match (next..inputs.len())
                    .find_map(|i| inputs[i].and_then(|v| producers[v.0]).filter(|p| state[*p] != 2).map(|p| (i, p)))
                {
                    Some((_, p)) if state[p] == 1 => {
                        return Err(Error::invalid_model("the node is part of a cycle").at(&self.nodes[p].path));
                    }
                    Some((i, p)) => {
                        stack.push((node, i + 1));
                        stack.push((p, 0));
                    }
                    None => {
                        state[node] = 2;
                        order.push(node);
                    }
                }
            }
        }
        let mut nodes: Vec<_> = std::mem::take(&mut self.nodes).into_iter().map(Some).collect();
        self.nodes = order.into_iter().filter_map(|i| nodes[i].take()).collect();
        Ok(())
    }

    /// Checks that every value is made exactly once and before it is used, that names are unique, and that states have ends of their own.
    ///
    /// # Errors
    /// [`InvalidModel`](crate::ErrorKind::InvalidModel) naming the node and the value.
    pub fn verify(&self) -> Result<()> {
        let mut names = HashSet::new();
        for value in &self.values {
            if !names.insert(value.name.as_str()) {
                return Err(Error::invalid_model(format!("two values are named `{}`", value.name)));
            }
        }
        let mut made: Vec<bool> = self.values.iter().map(|v| v.constant.is_some()).collect();
        let make = |id: ValueId, made: &mut Vec<bool>| match made.get_mut(id.0) {
            None => Err(Error::internal(format!("value {} does not exist", id.0))),
            Some(true) => Err(Error::invalid_model(format!("value `{}` is made twice", self.values[id.0].name))),
            Some(flag) => {
                *flag = true;
                Ok(())
            }
        };
        for input in &self.inputs {
            make(input.value, &mut made)?;
        }
        for node in &self.nodes {
            for input in node.inputs.iter().flatten() {
                if !made.get(input.0).copied().unwrap_or(false) {
                    let name = self.values.get(input.0).map_or("?", |v| v.name.as_str());
                    return Err(Error::invalid_model(format!("input `{name}` is made by no earlier node, input or constant"))
                        .at(&node.path));
                }
            }
            for output in node.outputs.iter().flatten() {
                make(*output, &mut made).map_err(|e| e.at(&node.path))?;
            }
        }
        match self.outputs.iter().find(|o| !made.get(o.0).copied().unwrap_or(false)) {
            Some(o) => Err(Error::invalid_model(format!(
                "output `{}` is made by no node, input or constant",
                self.values.get(o.0).map_or("?", |v| v.name.as_str())
            ))),
            None => self.verify_states(),
        }
    }

    /// Checks that each node of a specialised graph makes values of the types that are recorded of them: what a rewrite
    /// assumes of ranks and extents, its nodes must bear out.
    ///
    /// # Errors
    /// [`Internal`](crate::ErrorKind::Internal) naming the node and the value; what the operators' `infer` reports.
    #[doc(hidden)]
    pub fn verify_types(&self) -> Result<()> {
        let check = |node: &Node| -> Result<()> {
            let inferred = node.op.infer(&self.input_facts(node)?)?;
            for (k, id) in node.outputs.iter().enumerate() {
                let Some(id) = id else { continue };
                let recorded = &self.fact(*id)?.ty;
                match inferred.get(k) {
                    Some(fact) if &fact.ty == recorded => {}
                    found => {
                        let found = found.map_or("nothing".into(), |fact| fact.ty.to_string());
                        let name = &self.value(*id).name;
                        return Err(Error::internal(format!("expected {recorded} for `{name}`, found {found}")));
                    }
                }
            }
            Ok(())
        };
        self.nodes.iter().try_for_each(|node| check(node).map_err(|e| e.at(&node.path)))
    }
}
