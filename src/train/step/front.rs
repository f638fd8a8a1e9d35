//! A training step, as callers see it.

use super::evaluation::{evaluation_graph, needed};
use super::layout::{Arena, arenas};
use super::options::StepOptions;
use super::write::{LOSS, NORM, SKIPPED, controls_input, step_graph};
use crate::error::{Error, Result};
use crate::gpu::{Counters, Gpu};
use crate::graph::{Graph, Model};
use crate::kernel::Caps;
use crate::ops::optimizer::controls as at;
use crate::session::{Explanation, Outputs, Profile, Session, SessionState};
use crate::tensor::{Tensor, TensorType, TensorView};
use std::collections::HashMap;

/// The input that draws random numbers: the seed and the number of the step.
const RANDOM_KEY: &str = "dropout_key";

/// A network that learns. One step is the forward pass, the loss, the backward pass and the update of all parameters: one plan for each
/// combination of input shapes, and one submission. Parameters, what the optimizer remembers, and the network's own states stay on the
/// device.
///
/// ```
/// use gristmill::graph::{Builder, Dim};
/// use gristmill::train::{self, LossReduction, Sgd, Step, StepOptions};
/// use gristmill::{DType, Tensor, operators};
///
/// let mut b = Builder::new("a line");
/// let x = b.input("x", DType::F32, &[Dim::Named("n".into())]);
/// let y = b.input("y", DType::F32, &[Dim::Named("n".into())]);
/// let slope = b.constant("slope", Tensor::new([1], &[0.0f32])?);
/// let found = b.node("found", operators::binary("Mul")?, &[Some(x), Some(slope)]);
/// let loss = train::mean_squared_error(&mut b, "loss", [found, y], LossReduction::Mean)?;
/// b.output("loss", loss)?;
/// let sgd = Sgd { learning_rate: 0.1, ..Sgd::default() };
/// let mut step = Step::cpu(&b.finish()?, StepOptions::new("loss", vec!["slope".into()], sgd))?;
/// let (x, y) = (Tensor::vector(&[1.0f32, 2.0]), Tensor::vector(&[3.0f32, 6.0]));
/// for _ in 0..40 {
///     step.step_blocking(&[("x", x.view()), ("y", y.view())])?;
/// }
/// assert!((step.get_blocking("slope")?.as_slice::<f32>()?[0] - 3.0).abs() < 1e-4);
/// # Ok::<(), gristmill::Error>(())
/// ```
pub struct Step {
    pub(super) training: Session,
    /// By the outputs that they make.
    evaluations: HashMap<Vec<String>, Session>,
    pub(super) state: SessionState,
    /// The whole network with gradients and updates, of which training runs what updates are made from.
    pub(super) graph: Graph,
    pub(super) arenas: Vec<Arena>,
    /// How many states are the network's own, which stand before those of the step.
    pub(super) own_states: usize,
    pub(super) options: StepOptions,
    pub(super) steps: u64,
    /// Batches whose gradients are summed for the next update.
    pub(super) summed: u32,
    /// Batches since nothing was known to be wrong.
    pub(super) watched: u64,
}

impl Step {
    /// A step on a GPU, for a graph whose parameters are constants of it.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) naming what is wrong: a loss or parameter that the graph has not, a parameter that
    /// is given twice or that the loss does not depend on, a number of an optimizer that is none.
    pub fn new(gpu: &Gpu, graph: &Graph, options: StepOptions) -> Result<Step> {
        Step::build(Some(gpu), graph, options)
    }

    /// A step by the operators' references on the CPU: slow, and right.
    ///
    /// # Errors
    /// As [`new`](Step::new).
    pub fn cpu(graph: &Graph, options: StepOptions) -> Result<Step> {
        Step::build(None, graph, options)
    }

    fn build(gpu: Option<&Gpu>, graph: &Graph, options: StepOptions) -> Result<Step> {
        if options.accumulate == 0 {
            return Err(Error::invalid_argument("an update needs the gradient of one batch or more"));
        }
        if let Some(norm) = options.clip_norm.filter(|norm| !(norm.is_finite() && *norm > 0.0)) {
            return Err(Error::invalid_argument(format!("the norm to clip at is {norm}; expected a number above 0")));
        }
        let portable = Caps::portable();
        let caps = gpu.map_or(&portable, Gpu::caps);
        let arenas = arenas(graph, &options, caps.max_storage_binding.min(caps.max_buffer))?;
        let own_states = graph.states().len();
        let graph = step_graph(graph, &arenas, &options)?;
        let model = Model::from_graph(needed(graph.clone())?);
        let training = Session::on(gpu, &model, options.session.clone())?;
        let state = training.state()?;
        Ok(Step {
            training,
            evaluations: HashMap::new(),
            state,
            graph,
            arenas,
            own_states,
            options,
            steps: 0,
            summed: 0,
            watched: 0,
        })
    }

    /// Learns from one batch. Inputs are those of the network. Returns [`StepOptions::outputs`]. A batch whose loss or gradients are not finite changes
    /// nothing, and neither does any after it: [`held_back`](Step::held_back) tells how many there were, see [`Guard`](crate::train::Guard).
    ///
    /// # Errors
    /// As [`Session::run_with`]; [`InvalidInput`](crate::ErrorKind::InvalidInput) naming an input without elements. Nothing has changed then,
    /// unless the device is lost: that is said by every step from then on.
    pub async fn step(&mut self, inputs: &[(&str, TensorView<'_>)]) -> Result<Outputs> {
        let own = self.own_inputs()?;
        let given = with_own(inputs, &own)?;
        let outputs = self.training.run_with(&mut self.state, &given).await?;
        self.watched = self.watched.saturating_add(1);
        self.summed += 1;
        if self.summed == self.options.accumulate {
            self.summed = 0;
            self.steps += 1;
        }
        Ok(outputs)
    }

    /// The inputs that the step gives itself.
    pub(super) fn own_inputs(&self) -> Result<Vec<(String, Tensor)>> {
        let mut own = Vec::with_capacity(self.options.groups.len() + 1);
        for (number, group) in self.options.groups.iter().enumerate() {
            let mut controls = group.optimizer.controls(self.steps + 1);
            controls[at::APPLY] = f64::from(self.summed + 1 == self.options.accumulate);
            controls[at::SUMMED] = f64::from(self.summed > 0);
            controls[at::SHARE] = f64::from(self.options.accumulate).recip();
            [controls[at::BATCH], controls[at::BATCHES]] = self.batch_number();
            controls[at::CLIP_NORM] = self.options.clip_norm.unwrap_or(0.0);
            own.push((controls_input(number), Tensor::vector(&controls.map(|number| number as f32))));
        }
        if self.training.inputs().iter().any(|input| input.name == RANDOM_KEY) {
            // Each batch draws its own.
            let batch = self.steps.wrapping_mul(self.options.accumulate.into()).wrapping_add(self.summed.into());
            let words = [self.options.seed, (batch & u64::from(u32::MAX)) as u32];
            own.push((RANDOM_KEY.into(), Tensor::vector(&words.map(u32::cast_signed))));
        }
        Ok(own)
    }

    /// Values of the network for a batch, as it is when it does not learn: any of the graph that the step was made of, also those that the loss
    /// does not depend on. Only the inputs that they are computed from are given.
    ///
    /// # Errors
    /// As [`Session::run_with`]; [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for a name that the network has not.
    pub async fn evaluate(&mut self, outputs: &[&str], inputs: &[(&str, TensorView<'_>)]) -> Result<Outputs> {
        self.evaluation(outputs)?;
        let session = self.evaluations.get(&names_of(outputs)).ok_or_else(|| Error::internal("a session that was just made"))?;
        session.run_with(&mut self.state, inputs).await
    }

    /// The session that makes these outputs.
    fn evaluation(&mut self, outputs: &[&str]) -> Result<&Session> {
        let key = names_of(outputs);
        if !self.evaluations.contains_key(&key) {
            let model = Model::from_graph(evaluation_graph(&self.graph, outputs)?);
            self.evaluations.insert(key.clone(), self.training.sharing_states(&model)?);
        }
        self.evaluations.get(&key).ok_or_else(|| Error::internal("a session that was just made"))
    }

    /// What [`evaluate`](Step::evaluate) does for these outputs and inputs.
    ///
    /// # Errors
    /// As `evaluate`.
    pub fn explain_evaluation(&mut self, outputs: &[&str], inputs: &[(&str, TensorView<'_>)]) -> Result<Explanation> {
        self.evaluation(outputs)?.explain_run(inputs)
    }

    /// The loss of the last step, before its update.
    ///
    /// # Errors
    /// As [`SessionState::get`]; [`Diverged`](crate::ErrorKind::Diverged) where batches were [held back](Step::held_back).
    pub async fn loss(&self) -> Result<f64> {
        self.check_learned().await?;
        self.last_loss().await
    }

    /// The loss of the last step, be it learned from or not.
    pub(in crate::train) async fn last_loss(&self) -> Result<f64> {
        self.number(LOSS).await
    }

    /// The norm of all gradients of the last step, before they were scaled down; `None` where they are not.
    ///
    /// # Errors
    /// As [`SessionState::get`].
    pub async fn gradient_norm(&self) -> Result<Option<f64>> {
        match self.options.clip_norm {
            Some(_) => self.number(NORM).await.map(Some),
            None => Ok(None),
        }
    }

    /// How many updates were skipped, since their gradients had no finite norm; they count as steps.
    ///
    /// # Errors
    /// As [`SessionState::get`].
    pub async fn skipped(&self) -> Result<u64> {
        match self.options.clip_norm {
            Some(_) => Ok(self.number(SKIPPED).await? as u64),
            None => Ok(0),
        }
    }

    pub(super) async fn number(&self, state: &str) -> Result<f64> {
        let tensor = self.state.get(state).await?;
        tensor.to_f64().first().copied().ok_or_else(|| Error::internal(format!("state `{state}` is empty")))
    }

    /// How many updates there were.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// What the optimizer of a group takes of directions from now on.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for a group that there is not, or a rate that is no number of at least 0.
    pub fn set_learning_rate(&mut self, group: usize, rate: f64) -> Result<()> {
        let count = self.options.groups.len();
        let group = self.options.groups.get_mut(group);
        let group = group.ok_or_else(|| Error::invalid_argument(format!("there are {count} groups of parameters")))?;
        let optimizer = group.optimizer.clone().with_learning_rate(rate);
        optimizer.check()?;
        group.optimizer = optimizer;
        Ok(())
    }

    /// What the optimizer of each group takes of directions.
    pub fn learning_rates(&self) -> Vec<f64> {
        self.options.groups.iter().map(|group| group.optimizer.learning_rate()).collect()
    }

    /// What random numbers are drawn from.
    pub fn seed(&self) -> u32 {
        self.options.seed
    }

    /// The names of the inputs that a step is given.
    pub(in crate::train) fn input_names(&self) -> Vec<String> {
        let own = |name: &str| name == RANDOM_KEY || (0..self.options.groups.len()).any(|group| name == controls_input(group));
        self.training.inputs().iter().map(|input| input.name.clone()).filter(|name| !own(name)).collect()
    }

    /// The names of the inputs that these values are computed from when the network does not learn.
    pub(in crate::train) fn evaluation_input_names(&mut self, outputs: &[&str]) -> Result<Vec<String>> {
        Ok(self.evaluation(outputs)?.inputs().iter().map(|input| input.name.clone()).collect())
    }

    /// What one step does for inputs of these types: its dispatches, and the memory they take.
    ///
    /// # Errors
    /// As [`Session::explain`].
    pub fn explain(&self, inputs: &[(&str, TensorType)]) -> Result<Explanation> {
        let own = self.own_inputs()?;
        let mut given = inputs.to_vec();
        given.extend(own.iter().map(|(name, tensor)| (name.as_str(), tensor.ty().clone())));
        self.training.explain(&given)
    }

    /// What a step with these inputs does; as [`explain`](Step::explain), but nothing has to be assumed.
    ///
    /// # Errors
    /// As `explain`.
    pub fn explain_run(&self, inputs: &[(&str, TensorView<'_>)]) -> Result<Explanation> {
        let own = self.own_inputs()?;
        self.training.explain_run(&with_own(inputs, &own)?)
    }

    /// Takes the time of every dispatch of a step from the initial parameters, which nothing changes.
    ///
    /// # Errors
    /// As [`Session::profile`].
    pub async fn profile(&self, inputs: &[(&str, TensorView<'_>)], repeat: usize) -> Result<Profile> {
        let own = self.own_inputs()?;
        self.training.profile(&with_own(inputs, &own)?, repeat).await
    }

    /// How many objects on the device steps made so far.
    pub fn counters(&self) -> Counters {
        self.training.counters()
    }
}

fn names_of(outputs: &[&str]) -> Vec<String> {
    outputs.iter().map(ToString::to_string).collect()
}

/// Inputs of a batch with those of the step itself.
pub(super) fn with_own<'a>(
    inputs: &[(&'a str, TensorView<'a>)],
    own: &'a [(String, Tensor)],
) -> Result<Vec<(&'a str, TensorView<'a>)>> {
    if let Some((name, view)) = inputs.iter().find(|(_, view)| view.shape().contains(&0)) {
        return Err(Error::invalid_input(format!("input `{name}` is {:?}: a batch of none teaches nothing", view.shape())));
    }
    let own = own.iter().map(|(name, tensor)| (name.as_str(), tensor.view()));
    Ok(inputs.iter().copied().chain(own).collect())
}

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count: usize = self.arenas.iter().map(|arena| arena.parameters.len()).sum();
        write!(f, "Step({count} parameters in {} arenas after {} steps)", self.arenas.len(), self.steps)
    }
}
