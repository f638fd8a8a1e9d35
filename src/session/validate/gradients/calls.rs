//! The calls of a session that hold its gradients against the references.

use super::node::Single;
use super::question::{Question, with_gradients};
use super::report::{GradientReport, GradientValidation, NoGradient, SlopeReport, compare, greatest_of};
use super::whole::Whole;
use crate::error::{Error, ErrorKind, Result};
use crate::gpu::{Tally, boxed};
use crate::graph::{Graph, MAX_TURNS, Model, Node, Structure, ValueId, evaluate_structures};
use crate::session::front::Session;
use crate::session::options::Options;
use crate::session::runtime::Runtime;
use crate::session::validate::report::Tolerance;
use crate::tensor::{Tensor, TensorType, TensorView};
use std::sync::Arc;

/// Random directions in which gradients of many elements are followed.
const DIRECTIONS: usize = 2;

/// How often a point is moved that has a kink nearby.
const POINTS: u64 = 3;

/// How often inputs are rounded anew to see how far gradients move, by how much, and how much further they may.
const ROUNDS: u64 = 3;
const ROUNDING: f64 = 1.0 / 1_048_576.0;
const MARGIN: f64 = 8.0;

impl Session {
    /// Holds gradients against the references in double precision, and these against slopes: those of every node by itself, with the numbers
    /// of a run, and those of all outputs together with respect to inputs and weights. What a change of an output is worth is random. The
    /// absolute part of the tolerance is in parts of the greatest element of a gradient.
    ///
    /// # Errors
    /// As [`run`](Session::run).
    pub async fn validate_gradients(&self, inputs: &[(&str, TensorView<'_>)], tolerance: Tolerance) -> Result<GradientValidation> {
        let runtime = self.runtime(inputs.iter().map(|(name, _)| *name))?;
        boxed(validated(&runtime, inputs, tolerance)).await
    }

    /// [`validate_gradients`](Session::validate_gradients), blocking.
    ///
    /// # Errors
    /// As `validate_gradients`.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn validate_gradients_blocking(
        &self,
        inputs: &[(&str, TensorView<'_>)],
        tolerance: Tolerance,
    ) -> Result<GradientValidation> {
        crate::gpu::block_on(self.validate_gradients(inputs, tolerance))
    }
}

async fn validated(runtime: &Runtime, inputs: &[(&str, TensorView<'_>)], tolerance: Tolerance) -> Result<GradientValidation> {
    let starts = runtime.starts(inputs)?;
    let named: Vec<(&str, TensorView<'_>)> =
        inputs.iter().copied().chain(starts.iter().map(|(name, tensor)| (name.as_str(), tensor.view()))).collect();
    let given: Vec<_> = runtime.ordered_with_states(&named)?.iter().map(|input| input.map(TensorView::to_tensor)).collect();
    let mut work = Work { runtime, tolerance, found: GradientValidation::default() };
    let whole = match Whole::new(runtime.model.graph(), &given) {
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            work.found.without.push(NoGradient { node: String::new(), reason: error.to_string() });
            return Ok(work.found);
        }
        whole => whole?,
    };
    let tensors: Vec<_> = whole.tensors().into_iter().map(Structure::Tensor).collect();
    let values = evaluate_structures(&whole.graph, &tensors, MAX_TURNS)?;
    for node in whole.graph.nodes() {
        work.node(node, &whole.graph, &values).await.map_err(|error| error.at(&node.path))?;
    }
    work.whole(&whole).await?;
    Ok(work.found)
}

/// A validation under way.
struct Work<'a> {
    runtime: &'a Runtime,
    tolerance: Tolerance,
    found: GradientValidation,
}

impl Work<'_> {
    fn without(&mut self, node: &str, reason: impl Into<String>) {
        self.found.without.push(NoGradient { node: node.into(), reason: reason.into() });
    }

    /// The gradients of one node with the numbers of the run.
    async fn node(&mut self, node: &Node, graph: &Graph, values: &[Structure<Tensor>]) -> Result<()> {
        let tensor = |id: ValueId| values.get(id.index()).and_then(|value| value.tensor().ok().cloned());
        let inputs: Vec<Option<Tensor>> = node.inputs.iter().map(|input| input.and_then(tensor)).collect();
        let is_fixed = |k: &usize| node.inputs[*k].and_then(|id| graph.constant(id)).is_some_and(|tensor| tensor.elements() <= 1);
        let fixed: Vec<usize> = (0..inputs.len()).filter(is_fixed).collect();
        let used: Vec<bool> = node.outputs.iter().map(Option::is_some).collect();
        let single = Single::new(&node.op, &inputs, &used, &fixed)?;
        if single.subjects.is_empty() {
            self.without(&node.path, "it reads no floats");
            return Ok(());
        }
        let question = Question::new(&single.graph, &single.inputs, &single.subjects, 1)?;
        if question.worth().iter().all(Option::is_none) {
            self.without(&node.path, "it makes no floats");
            return Ok(());
        }
        let Some(expected) = self.by_references(&node.path, &question)? else { return Ok(()) };
        let types =
            node.outputs.iter().flatten().map(|id| graph.fact(*id).map(|fact| fact.ty.clone())).collect::<Result<Vec<_>>>()?;
        let floats = || single.graph.outputs().iter().zip(&types).filter(|(_, ty)| ty.dtype.is_float());
        let of: Vec<_> = floats().map(|(value, ty)| (*value, ty.clone())).collect();
        let subjects: Vec<_> = single.subjects.iter().map(|k| single.graph.inputs()[*k].value).collect();
        let given: Vec<(String, Tensor)> = single
            .graph
            .inputs()
            .iter()
            .zip(&single.inputs)
            .map(|(input, tensor)| (single.graph.value(input.value).name.clone(), tensor.clone()))
            .collect();
        let differentiated = with_gradients(&single.graph, &of, &subjects)?;
        let found = self.on_device(differentiated, given, question.worth(), &of).await?;
        for ((found, expected), subject) in found.iter().zip(&expected).zip(&subjects) {
            let input = single.graph.value(*subject).name.trim_start_matches('x').parse::<usize>().ok();
            let name = input.and_then(|k| node.input(k)).map_or("", |id| graph.value(id).name.as_str());
            self.found.nodes.push(compare(&node.path, name, found, expected, (&[], 0.0), self.tolerance));
        }
        self.slopes(&node.path, &question)
    }

    /// The gradients by the references; `None` where there are none, which is then noted.
    fn by_references(&mut self, node: &str, question: &Question) -> Result<Option<Vec<Tensor>>> {
        match question.gradients() {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                self.without(node, error.message());
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Holds gradients by the references against slopes, near the numbers of the run.
    fn slopes(&mut self, node: &str, question: &Question) -> Result<()> {
        let mut last = None;
        for seed in 0..POINTS {
            let Ok(near) = question.nearby(seed) else { break };
            let all = near.compare(&near.gradients()?, DIRECTIONS, seed)?;
            let done = all.iter().all(|comparison| comparison.unsettled == 0);
            last = Some(SlopeReport::new(node, &all));
            if done {
                break;
            }
        }
        // Where no point is finite, there is nothing to follow.
        let nothing = SlopeReport { node: node.into(), error: 0.0, wrong: 0, unsettled: 0, directions: 0 };
        self.found.slopes.push(last.unwrap_or(nothing));
        Ok(())
    }

    /// The gradients of a graph with gradients, by the device.
    async fn on_device(
        &self,
        graph: Graph,
        mut given: Vec<(String, Tensor)>,
        worth: &[Option<Tensor>],
        of: &[(ValueId, TensorType)],
    ) -> Result<Vec<Tensor>> {
        for (k, (worth, (_, ty))) in worth.iter().flatten().zip(of).enumerate() {
            given.push((format!("worth.{k}"), Tensor::from_f64(ty.clone(), &worth.to_f64())?));
        }
        let options = Options { keep_all: false, taps: vec![], ..self.runtime.options.clone() };
        let model = Model::from_graph(graph);
        let gpu = self.runtime.gpu();
        let runtime = Runtime::new(gpu.as_ref(), &model, &options, Arc::<Tally>::default())?;
        let named: Vec<(&str, TensorView<'_>)> = given.iter().map(|(name, tensor)| (name.as_str(), tensor.view())).collect();
        let outputs = runtime.all_outputs(&named).await?;
        let mut found = Vec::new();
        while let Some(gradient) = outputs.get(&format!("gradient.{}", found.len())) {
            found.push(gradient.clone());
        }
        Ok(found)
    }

    /// The gradients of all outputs together.
    async fn whole(&mut self, whole: &Whole) -> Result<()> {
        let inputs = whole.tensors();
        let subjects: Vec<usize> = (0..inputs.len()).collect();
        if subjects.is_empty() {
            self.without("", "there is neither an input nor a weight of floats");
            return Ok(());
        }
        let question = Question::new(&whole.graph, &inputs, &subjects, 2)?;
        if question.worth().iter().all(Option::is_none) {
            self.without("", "no output is of floats");
            return Ok(());
        }
        let Some(expected) = self.by_references("", &question)? else { return Ok(()) };
        let mut moved: Vec<Vec<f64>> = expected.iter().map(|tensor| vec![0.0; tensor.elements()]).collect();
        for seed in 0..ROUNDS {
            for ((moved, other), own) in moved.iter_mut().zip(question.shaken(ROUNDING, seed)?.gradients()?).zip(&expected) {
                for (moved, (other, own)) in moved.iter_mut().zip(other.to_f64().into_iter().zip(own.to_f64())) {
                    *moved = moved.max(MARGIN * (other - own).abs());
                }
            }
        }
        let of = whole.worthy(question.worth())?;
        let found = self.on_device(whole.differentiated(question.worth())?, whole.given.clone(), question.worth(), &of).await?;
        if found.len() != expected.len() {
            return Err(Error::internal(format!("{} gradients of {} values", found.len(), expected.len())));
        }
        let others = expected.iter().map(greatest_of).fold(0.0, f64::max);
        for (((found, expected), moved), (name, _)) in found.iter().zip(&expected).zip(&moved).zip(&whole.inputs) {
            let report: GradientReport = compare("", name, found, expected, (moved, others), self.tolerance);
            self.found.whole.push(report);
        }
        self.slopes("", &question)
    }
}
