//! Makes a failing network smaller: smaller extents, fewer outputs, values that are given in place of computed, nodes left out.

use super::check::{Failure, Stage, Trial, check, given};
use super::error::values;
use super::network::Network;
use super::{SMALL, drawn};
use gristmill::{DType, Model, Tensor};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long one network is worked on.
const PATIENCE: Duration = Duration::from_secs(40);

struct Shrinking {
    trial: Trial,
    failure: Failure,
    until: Instant,
}

impl Shrinking {
    /// True when a network fails where the first one did.
    fn fails(&mut self, network: &Network) -> bool {
        if Instant::now() > self.until {
            return false;
        }
        match check(network, &self.trial) {
            Err(failure) if failure.stage == self.failure.stage => {
                self.failure = failure;
                true
            }
            _ => false,
        }
    }

    /// Tries a change; the network is the changed one if it still fails.
    fn attempt(&mut self, network: &mut Network, change: impl FnOnce(&mut Network)) -> bool {
        let mut changed = network.clone();
        change(&mut changed);
        changed.prune();
        let smaller = !changed.nodes.is_empty();
        if smaller && self.fails(&changed) {
            *network = changed;
            return true;
        }
        false
    }
}

/// What the network computes, by name.
fn recorded(network: &Network) -> HashMap<String, Tensor> {
    let Ok(model) = Model::from_bytes(&network.without_defaults().encode(), None) else { return HashMap::new() };
    let Ok(inputs) = given(network, model.graph()) else { return HashMap::new() };
    let Ok(values) = values(model.graph(), &inputs, None) else { return HashMap::new() };
    let named = model.graph().values().iter().zip(values);
    named.filter_map(|(value, tensor)| Some((value.name.clone(), tensor?))).collect()
}

/// A value is given, as an input or as a constant, in place of being computed.
fn give(network: &mut Network, node: usize, values: &HashMap<String, Tensor>) {
    let removed = network.nodes.remove(node);
    let constant = removed.reads().is_empty();
    for name in removed.outputs {
        let Some(tensor) = values.get(&name).cloned() else { continue };
        let shape = tensor.dtype() == DType::I64 && tensor.shape().rank() <= 1;
        if shape || constant {
            network.initializers.push((name, tensor));
        } else {
            network.inputs.push((name, tensor));
        }
    }
}

/// Every use of one name becomes one of another.
fn rename(network: &mut Network, from: &str, to: &str) {
    let names = network.nodes.iter_mut().flat_map(|n| &mut n.inputs);
    names.filter(|name| *name == from).for_each(|name| *name = to.to_string());
}

impl Shrinking {
    /// The network of a seed with smaller extents, the first that fails.
    fn smaller_extents(&mut self, network: &mut Network, seed: u64) {
        for sizes in SMALL {
            let (smaller, _) = drawn(seed, Some(sizes));
            if self.fails(&smaller) {
                *network = smaller;
                return;
            }
        }
    }

    /// One output in place of several.
    fn one_output(&mut self, network: &mut Network) {
        for k in 0..network.outputs.len() {
            let name = network.outputs[k.min(network.outputs.len() - 1)].clone();
            if network.outputs.len() > 1 && self.attempt(network, |n| n.outputs = vec![name]) {
                return;
            }
        }
    }

    /// The earliest value that is wrong by itself as the output.
    fn earliest_output(&mut self, network: &mut Network) {
        let made: Vec<String> = network.nodes.iter().flat_map(|n| n.outputs.clone()).collect();
        for name in made {
            if network.outputs.len() == 1 && network.outputs[0] != name && self.attempt(network, |n| n.outputs = vec![name]) {
                return;
            }
        }
    }

    /// What nodes make is given, or they are left out.
    fn fewer_nodes(&mut self, network: &mut Network) {
        let values = recorded(network);
        let mut node = 0;
        while node < network.nodes.len() {
            let count = network.nodes.len();
            let is_output = network.nodes[node].outputs.iter().any(|name| network.outputs.contains(name));
            if !is_output && self.attempt(network, |n| give(n, node, &values)) {
                node = node.saturating_sub(count - network.nodes.len() - 1);
            } else if is_output || !self.leave_out(network, node, &values) {
                node += 1;
            }
        }
    }

    /// Leaves out a node that changes no type.
    fn leave_out(&mut self, network: &mut Network, node: usize, values: &HashMap<String, Tensor>) -> bool {
        let ty = |name: &str| {
            let given = || network.inputs.iter().find(|(input, _)| input == name).map(|(_, tensor)| tensor);
            values.get(name).or_else(given).map(|tensor| tensor.ty().clone())
        };
        let [output] = network.nodes[node].outputs.as_slice() else { return false };
        let alike = |name: &&String| !name.is_empty() && ty(name) == ty(output);
        let Some(input) = network.nodes[node].inputs.iter().find(alike).cloned() else { return false };
        let output = output.clone();
        self.attempt(network, |n| {
            n.nodes.remove(node);
            rename(n, &output, &input);
        })
    }
}

/// The smallest network found that fails where the network of this seed does, and how it fails.
pub fn shrink(seed: u64, mut network: Network, trial: Trial, failure: Failure) -> (Network, Failure) {
    if matches!(failure.stage, Stage::Import | Stage::Reference) {
        return (network, failure);
    }
    let trial = Trial { device: failure.stage == Stage::Device, other: None, variant: failure.variant.clone(), ..trial };
    let mut work = Shrinking { trial, failure, until: Instant::now() + PATIENCE };
    work.smaller_extents(&mut network, seed);
    work.attempt(&mut network, |n| n.symbolic = false);
    work.one_output(&mut network);
    loop {
        let before = network.nodes.len() + network.outputs.len();
        work.earliest_output(&mut network);
        work.fewer_nodes(&mut network);
        if network.nodes.len() + network.outputs.len() == before || Instant::now() > work.until {
            return (network, work.failure);
        }
    }
}
