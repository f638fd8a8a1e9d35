//! A graph of doubles at a point: its gradients by the rules of operators, and what its slopes are there.

use super::doubles::{self, doubled};
use super::draws::Draws;
use super::slopes::{Slope, slope};
use crate::error::{Error, Result};
use crate::graph::{Dim, Graph, MAX_TURNS, Node, Structure, ValueId, Writer};
use crate::ops::gradient::gradient;
use crate::session::execution::reference;
use crate::tensor::{DType, Tensor, TensorType};

/// Inputs of at most so many elements are followed element by element, others along random directions.
const FEW: usize = 48;

/// Where inputs and outputs have at most so many elements together, and not more directions than one where they have many.
const SMALL: usize = 4096;
const LARGE: usize = 1 << 16;

/// How near to the slope a gradient must be, in parts of the greatest.
const NEAR: f64 = 1e-6;

/// A graph with all floats as doubles, and what changes of its outputs are worth.
#[derive(Clone, Debug)]
pub struct Question {
    graph: Graph,
    inputs: Vec<Tensor>,
    /// The inputs that are asked about.
    subjects: Vec<usize>,
    /// For each output; `None` for those that are no floats, or rounded to fewer bits.
    worth: Vec<Option<Tensor>>,
}

/// How gradients by rules compare with slopes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Comparison {
    /// The subject; `None` for all that have many elements.
    pub subject: Option<usize>,
    /// The greatest difference, in parts of the greatest element of the gradient.
    pub error: f64,
    /// Directions in which the gradient is further from the slope than it may be.
    pub wrong: usize,
    /// Directions in which the slope could not be told: the graph has a kink or a jump nearby.
    pub unsettled: usize,
    /// Directions that were looked at.
    pub directions: usize,
    /// The greatest element of the gradient.
    pub greatest: f64,
}

/// A copy of a graph with its gradients as further outputs, behind an input for what changes of each of these values are worth.
pub(super) fn with_gradients(graph: &Graph, of: &[(ValueId, TensorType)], subjects: &[ValueId]) -> Result<Graph> {
    let mut writer = Writer::rewriting(graph);
    let mut inputs: Vec<Option<ValueId>> = of.iter().map(|(value, _)| Some(*value)).collect();
    for (k, (_, ty)) in of.iter().enumerate() {
        let dims = ty.shape.iter().map(|extent| Dim::Known(*extent)).collect();
        inputs.push(Some(writer.declare(&format!("worth.{k}"), ty.dtype, Some(dims))));
    }
    inputs.extend(subjects.iter().copied().map(Some));
    let outputs: Vec<ValueId> = (0..subjects.len()).map(|k| writer.value(&format!("gradient.{k}"), None)).collect();
    writer.push(Node::new("gradient", gradient(of.len()), inputs, outputs.iter().copied().map(Some).collect()));
    for (k, output) in outputs.into_iter().enumerate() {
        writer.output(&format!("gradient.{k}"), output)?;
    }
    writer.finish()
}

/// Random numbers of a type.
pub(super) fn drawn(ty: &TensorType, mut number: impl FnMut() -> f64) -> Result<Tensor> {
    let values: Vec<f64> = (0..ty.elements()).map(|_| number()).collect();
    Tensor::from_f64(ty.clone(), &values)
}

impl Question {
    /// The question of a graph of tensors at these inputs, of which some are asked about. What changes of outputs are worth is drawn from the seed.
    ///
    /// # Errors
    /// As the references.
    pub fn new(graph: &Graph, inputs: &[Tensor], subjects: &[usize], seed: u64) -> Result<Self> {
        let inputs = inputs.iter().map(doubled).collect::<Result<Vec<_>>>()?;
        let graph = doubles::graph(graph, &inputs)?;
        let mut question = Question { graph, inputs, subjects: subjects.to_vec(), worth: vec![] };
        let mut draws = Draws(seed);
        let outputs = question.outputs(&question.inputs)?;
        let worth = |output: &Tensor| (output.dtype() == DType::F64).then(|| drawn(output.ty(), || draws.weight())).transpose();
        question.worth = outputs.iter().map(worth).collect::<Result<_>>()?;
        Ok(question)
    }

    /// What changes of the outputs are worth.
    pub fn worth(&self) -> &[Option<Tensor>] {
        &self.worth
    }

    fn outputs(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
        let inputs: Vec<_> = inputs.iter().cloned().map(Structure::Tensor).collect();
        let outputs = reference::plain_outputs(&self.graph, &inputs, MAX_TURNS)?;
        outputs.iter().map(|output| output.tensor().cloned()).collect()
    }

    /// The gradients of the subjects, by the rules of operators.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) with the operator that has none, and why.
    pub fn gradients(&self) -> Result<Vec<Tensor>> {
        let paired = || self.graph.outputs().iter().zip(&self.worth);
        let of: Vec<_> = paired().filter_map(|(value, worth)| Some((*value, worth.as_ref()?.ty().clone()))).collect();
        let subjects: Vec<ValueId> = self.subjects.iter().map(|k| self.graph.inputs()[*k].value).collect();
        let graph = with_gradients(&self.graph, &of, &subjects)?;
        let inputs: Vec<_> = self.inputs.iter().chain(self.worth.iter().flatten()).cloned().map(Structure::Tensor).collect();
        let outputs = reference::outputs(&graph, &inputs, MAX_TURNS)?;
        outputs.iter().skip(self.graph.outputs().len()).map(|output| output.tensor().cloned()).collect()
    }

    /// The same question near its point, where ties are broken and no number is special; or, where the outputs would not be finite there,
    /// somewhere else.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) when there is no point at which the outputs are finite.
    pub fn nearby(&self, seed: u64) -> Result<Self> {
        let mut draws = Draws(seed);
        for attempt in 0..3 {
            let mut question = self.clone();
            for k in &self.subjects {
                let input = &self.inputs[*k];
                let old = input.to_f64();
                let usual = |x: &f64| x.abs() < 1e6;
                let squares: Vec<f64> = old.iter().copied().filter(usual).map(|x| x * x).collect();
                let size = Some((squares.iter().sum::<f64>() / squares.len().max(1) as f64).sqrt()).filter(|size| *size > 0.0);
                let noise = size.unwrap_or(1.0) / 256.0;
                let mut old = old.into_iter();
                let moved = || match (attempt, old.next().filter(usual)) {
                    (0, Some(x)) => x + noise * draws.unit(),
                    (0 | 1, _) => 0.5 + 0.4 * draws.unit(),
                    _ => 1.5 + 0.4 * draws.unit(),
                };
                question.inputs[*k] = drawn(input.ty(), moved)?;
            }
            let finite = |output: &Tensor| !output.dtype().is_float() || output.to_f64().iter().all(|x| x.is_finite());
            if question.outputs(&question.inputs).is_ok_and(|outputs| outputs.iter().all(finite)) {
                return Ok(question);
            }
        }
        Err(Error::unsupported("no point was found at which all outputs are finite"))
    }

    /// What the outputs are worth together, and how much of that may be rounding.
    fn total(&self, inputs: &[Tensor]) -> Result<(f64, f64)> {
        let (mut sum, mut size) = (0.0, 0.0);
        for (output, worth) in self.outputs(inputs)?.iter().zip(&self.worth) {
            let Some(worth) = worth else { continue };
            for (output, worth) in output.to_f64().into_iter().zip(worth.to_f64()) {
                sum += output * worth;
                size += (output * worth).abs();
            }
        }
        Ok((sum, size * f64::EPSILON))
    }

    /// The same question with every number of its subjects moved a little, in parts of it.
    pub(super) fn shaken(&self, relative: f64, seed: u64) -> Result<Self> {
        let (mut question, mut draws) = (self.clone(), Draws(seed));
        for k in &self.subjects {
            let input = &mut question.inputs[*k];
            let moved: Vec<f64> = input.to_f64().iter().map(|x| x * (1.0 + relative * draws.unit())).collect();
            *input = Tensor::from_f64(input.ty().clone(), &moved)?;
        }
        Ok(question)
    }

    /// The same question about one of its subjects.
    #[must_use]
    pub fn about(&self, subject: usize) -> Self {
        Question { subjects: self.subjects.get(subject).copied().into_iter().collect(), ..self.clone() }
    }

    /// Holds gradients of all subjects against slopes: along each element of those that have few, and along so many random directions of all
    /// others together.
    ///
    /// # Errors
    /// As the references.
    pub fn compare(&self, found: &[Tensor], directions: usize, seed: u64) -> Result<Vec<Comparison>> {
        let found: Vec<Vec<f64>> = found.iter().map(Tensor::to_f64).collect();
        let greatest: Vec<f64> = found.iter().map(|found| found.iter().map(|x| x.abs()).fold(0.0, f64::max)).collect();
        let work: usize = self.inputs.iter().chain(self.worth.iter().flatten()).map(Tensor::elements).sum();
        let (few, many): (Vec<usize>, Vec<usize>) =
            (0..found.len()).partition(|k| found[*k].len() <= FEW && work <= SMALL && found[*k].iter().all(|x| x.is_finite()));
        let mut all = Vec::new();
        for k in few {
            let mut comparison = Comparison { subject: Some(k), greatest: greatest[k], ..Comparison::default() };
            for element in 0..found[k].len() {
                let direction = (0..found[k].len()).map(|at| f64::from(u8::from(at == element))).collect();
                self.follow(&[(k, direction)], &found, greatest[k], &mut comparison)?;
            }
            all.push(comparison);
        }
        if !many.is_empty() {
            let most = many.iter().map(|k| greatest[*k]).fold(0.0, f64::max);
            let mut comparison = Comparison { greatest: most, ..Comparison::default() };
            let mut draws = Draws(seed);
            for _ in 0..if work > LARGE { 1 } else { directions } {
                // Each subject moves by as much as makes its part of the slope like that of the others.
                let least = many.iter().map(|k| greatest[*k]).filter(|g| *g > 0.0).fold(f64::INFINITY, f64::min);
                let by = |k: usize| if greatest[k] > 0.0 { (least / greatest[k]).max(1.0 / 1024.0) } else { 1.0 };
                let directions: Vec<(usize, Vec<f64>)> =
                    many.iter().map(|k| (*k, found[*k].iter().map(|_| by(*k) * draws.weight()).collect())).collect();
                let size = many.iter().map(|k| greatest[*k] * by(*k)).fold(0.0, f64::max);
                self.follow(&directions, &found, size, &mut comparison)?;
            }
            all.push(comparison);
        }
        Ok(all)
    }

    /// Holds gradients against the slope along one direction of some subjects.
    fn follow(&self, directions: &[(usize, Vec<f64>)], found: &[Vec<f64>], size: f64, comparison: &mut Comparison) -> Result<()> {
        let parts = || directions.iter().flat_map(|(k, direction)| found[*k].iter().zip(direction).map(|(g, d)| g * d));
        let ahead: f64 = parts().sum();
        let spread = parts().map(|part| part * part).sum::<f64>().sqrt().max(size);
        let at = |by: f64| {
            let mut inputs = self.inputs.clone();
            for (k, direction) in directions {
                let input = &mut inputs[self.subjects[*k]];
                let moved: Vec<f64> = input.to_f64().iter().zip(direction).map(|(x, d)| x + by * d).collect();
                *input = Tensor::from_f64(input.ty().clone(), &moved)?;
            }
            self.total(&inputs)
        };
        comparison.directions += 1;
        let Slope { slope, doubt, settled } = slope(at, spread)?;
        let error = (ahead - slope).abs();
        if !settled {
            comparison.unsettled += 1;
            return Ok(());
        }
        // Written so that NaN counts as wrong.
        let near = error <= NEAR * spread + doubt;
        comparison.wrong += usize::from(!near);
        if error > doubt || error.is_nan() {
            comparison.error =
                comparison.error.max(if error.is_nan() { f64::INFINITY } else { error / spread.max(f64::MIN_POSITIVE) });
        }
        Ok(())
    }
}
