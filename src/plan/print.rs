//! Plans as text, for people and snapshots.

use super::types::{Place, Plan, PlannedState, Written};
use std::fmt;

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Weight(k) => write!(f, "weight{k}"),
            Place::Own(k) => write!(f, "own{k}"),
            Place::Slot { buffer, offset: 0 } => write!(f, "shared{buffer}"),
            Place::Within { tensor, offset } => write!(f, "tensor{tensor}+{offset}"),
            Place::Texture(k) => write!(f, "texture{k}"),
            Place::State { state, next: false } => write!(f, "state{state}"),
            Place::State { state, next: true } => write!(f, "next{state}"),
            Place::Slot { buffer, offset } => write!(f, "shared{buffer}+{offset}"),
        }
    }
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Written::InPlace => "in place",
            Written::Swapped => "swapped",
            Written::Copied(_) => "copied",
            Written::Host => "by the host",
        })
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let memory = &self.memory;
        let place = |tensor: &usize| match self.tensors[*tensor].place {
            Place::Within { tensor, offset } => format!("{}[{offset}..]", self.tensors[tensor].place),
            place => place.to_string(),
        };
        writeln!(
            f,
            "plan {}: {} dispatches, {} kernels, {} weights",
            self.graph.name(),
            self.steps().count(),
            self.kernels.len(),
            self.weights.len()
        )?;
        writeln!(f, "  shared {:?}: {} bytes, lower bound {}", self.shared, memory.peak, memory.lower_bound)?;
        if !self.textures.is_empty() {
            writeln!(f, "  textures {:?}", self.textures)?;
        }
        for (k, state) in self.states.iter().enumerate() {
            let PlannedState { name, read, written, reason, .. } = state;
            writeln!(f, "  state{k} {name} {read}: {written}, since {reason}")?;
        }
        for segment in &self.segments {
            for t in &segment.uploads {
                writeln!(f, "  upload {} {} to {}", self.graph.value(t.value).name, t.ty, place(&t.tensor))?;
            }
            for step in &segment.steps {
                let shader = self.kernels[step.kernel].shader.name;
                for copy in &step.copies {
                    writeln!(f, "  copy {} to {}", place(&copy.from), place(&copy.to))?;
                }
                let bindings: Vec<String> = step.bindings.iter().map(place).collect();
                let [x, y, z] = step.grid;
                let path = &self.graph.nodes()[step.node].path;
                writeln!(f, "  {path}: {shader}/{} {x}x{y}x{z} ({})", step.variant, bindings.join(", "))?;
            }
            for t in &segment.downloads {
                writeln!(f, "  download {} {} from {}", self.graph.value(t.value).name, t.ty, place(&t.tensor))?;
            }
            for node in &segment.host {
                writeln!(f, "  host {}: {}", self.graph.nodes()[node.node].path, node.reason)?;
            }
        }
        for (k, state) in self.states.iter().enumerate() {
            if let Written::Copied(from) = &state.written {
                writeln!(f, "  copy {} to next{k}", place(from))?;
            }
        }
        Ok(())
    }
}
