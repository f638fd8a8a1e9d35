//! What a step holds: parameters, what its optimizer remembers of them, and states of the network.

use super::front::Step;
use super::layout::{Arena, Parameter};
use crate::error::{Error, Result};
use crate::session::fits_alone;
use crate::tensor::{Tensor, TensorView};
use std::collections::HashSet;

/// What a step holds at some time, on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// How many updates there were.
    pub steps: u64,
    /// Parameters and states by their names; what the optimizer remembers of a parameter as `optimizer.NAME.WHAT`, with PyTorch's names of WHAT
    /// (`momentum_buffer`, `exp_avg`, `exp_avg_sq`, `square_avg`, `grad_avg`).
    pub tensors: Vec<(String, Tensor)>,
}

impl Checkpoint {
    /// The tensor of a name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.tensors.iter().find(|(known, _)| known == name).map(|(_, tensor)| tensor)
    }
}

impl Step {
    /// What a parameter or state of this name holds.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for other names; as [`SessionState::get`](crate::SessionState::get).
    pub async fn get(&self, name: &str) -> Result<Tensor> {
        match self.find(name) {
            Some((arena, parameter)) => row(&self.state.get(&arena.state).await?, arena, parameter, 0),
            None => self.state.get(name).await,
        }
    }

    fn find(&self, name: &str) -> Option<(&Arena, &Parameter)> {
        self.arenas.iter().find_map(|arena| Some((arena, arena.parameters.iter().find(|parameter| parameter.name == name)?)))
    }

    /// Makes a parameter or state hold a tensor. What the optimizer remembers of it stays.
    ///
    /// # Errors
    /// As [`get`](Step::get); [`InvalidInput`](crate::ErrorKind::InvalidInput) for a tensor of another type.
    pub async fn set(&mut self, name: &str, tensor: &TensorView<'_>) -> Result<()> {
        let Some((arena, parameter)) = self.find(name) else { return self.state.set(name, tensor) };
        let state = arena.state.clone();
        let mut held = self.state.get(&state).await?.as_slice::<f32>()?.to_vec();
        put(&mut held, arena, parameter, 0, tensor)?;
        let held = Tensor::new([arena.rule.rows(), arena.columns], &held)?;
        self.state.set(&state, &held.view())
    }

    /// Everything that the step holds. Gradients that are summed for an update to come are not among it.
    ///
    /// # Errors
    /// As [`SessionState::get`](crate::SessionState::get); [`Diverged`](crate::ErrorKind::Diverged) where batches were
    /// [held back](Step::held_back).
    pub async fn checkpoint(&self) -> Result<Checkpoint> {
        self.check_learned().await?;
        let mut tensors = Vec::new();
        for arena in &self.arenas {
            let held = self.state.get(&arena.state).await?;
            for parameter in &arena.parameters {
                for (number, what) in names(arena, &parameter.name).into_iter().enumerate() {
                    tensors.push((what, row(&held, arena, parameter, number)?));
                }
            }
        }
        for info in self.state.infos().iter().take(self.own_states) {
            tensors.push((info.name.clone(), self.state.get(&info.name).await?));
        }
        Ok(Checkpoint { steps: self.steps, tensors })
    }

    /// Goes on from a checkpoint, of this or another step with the same parameters, rules and states. Updates that were skipped are counted
    /// anew.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) naming a tensor that is missing, of another type, or none that the step holds. Nothing
    /// has changed then.
    pub fn restore(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let mut known = HashSet::new();
        let mut find = |name: &str| {
            known.insert(name.to_string());
            checkpoint.get(name).ok_or_else(|| Error::invalid_input(format!("the checkpoint has no tensor `{name}`")))
        };
        let mut held_anew = Vec::with_capacity(self.arenas.len());
        for arena in &self.arenas {
            let mut held = vec![0f32; arena.rule.rows() * arena.columns];
            for parameter in &arena.parameters {
                for (number, what) in names(arena, &parameter.name).into_iter().enumerate() {
                    let fits = put(&mut held, arena, parameter, number, &find(&what)?.view());
                    fits.map_err(|error| Error::invalid_input(format!("tensor `{what}` of the checkpoint: {error}")))?;
                }
            }
            held_anew.push((arena.state.clone(), Tensor::new([arena.rule.rows(), arena.columns], &held)?));
        }
        for info in self.state.infos().iter().take(self.own_states) {
            let tensor = find(&info.name)?;
            fits_alone("state", info, tensor.dtype(), tensor.shape())?;
            held_anew.push((info.name.clone(), tensor.clone()));
        }
        let mut unused = known;
        if let Some((name, _)) = checkpoint.tensors.iter().find(|(name, _)| !unused.remove(name)) {
            return Err(Error::invalid_input(format!(
                "the checkpoint's tensor `{name}` is none that the step holds, or is there twice"
            )));
        }
        // What else there is, sums and the last loss, may be lost.
        self.state.reset()?;
        for (name, tensor) in held_anew {
            self.state.set(&name, &tensor.view())?;
        }
        (self.steps, self.summed, self.watched) = (checkpoint.steps, 0, 0);
        Ok(())
    }
}

/// Names of a parameter and of what is remembered of it, by row.
fn names(arena: &Arena, parameter: &str) -> Vec<String> {
    let remembered = arena.rule.remembered().iter().map(|what| format!("optimizer.{parameter}.{what}"));
    std::iter::once(parameter.to_string()).chain(remembered).collect()
}

/// One row of a parameter.
pub(super) fn row(held: &Tensor, arena: &Arena, parameter: &Parameter, row: usize) -> Result<Tensor> {
    let first = row * arena.columns + parameter.first;
    Tensor::new(parameter.ty.shape.clone(), &held.as_slice::<f32>()?[first..first + parameter.ty.elements()])
}

/// Puts a tensor into a row of a parameter.
fn put(held: &mut [f32], arena: &Arena, parameter: &Parameter, row: usize, tensor: &TensorView<'_>) -> Result<()> {
    if tensor.dtype() != parameter.ty.dtype || *tensor.shape() != *parameter.ty.shape {
        let message = format!("`{}`: expected {}, found {}{:?}", parameter.name, parameter.ty, tensor.dtype(), tensor.shape());
        return Err(Error::invalid_input(message));
    }
    let first = row * arena.columns + parameter.first;
    held[first..first + parameter.ty.elements()].copy_from_slice(tensor.to_tensor().as_slice::<f32>()?);
    Ok(())
}
