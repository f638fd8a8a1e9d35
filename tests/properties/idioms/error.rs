//! How far results may lie apart: what rounding alone does to a network, found by shaking it.
//!
//! The references run the network again a few times, with each rounded result moved at random by as much as a kernel may err
//! (Monte Carlo arithmetic, Parker 1997). How far outputs move says for each element how errors grow on the way to it. Where
//! they hardly grow the bound is that of a single kernel, and where a sum cancels or a deviation is nearly zero it is as wide
//! as it must be.

use crate::cases::{F32, Random};
use gristmill::internals::graph::{Body, Flow, Graph, MAX_TURNS, Structure};
use gristmill::internals::ops::flow::branch::If;
use gristmill::internals::ops::flow::loops::Loop;
use gristmill::internals::ops::flow::turns::{slice, stack};
use gristmill::{DType, Tensor};

/// How often a network is shaken.
const ROUNDS: u64 = 3;

/// A few samples fall short of what is possible.
const MARGIN: f64 = 8.0;

/// Numbers from here on are fills of masks: what they hide hangs on plain additions, which round alike everywhere.
const FILL: f64 = 1e6;

/// What an operator does to the numbers it is given.
enum Rounding {
    /// Moves, compares and selects them.
    None,
    /// One plain operation.
    Once,
    /// A function, to a few units in the last place.
    Function,
    /// Sums of many terms, each of which is rounded, in steps whose results may be rounded too.
    Terms,
}

fn rounding(operator: &str) -> Rounding {
    match operator {
        "Add" | "Sub" | "Mul" | "Sum" | "Mean" => Rounding::Once,
        "MatMul"
        | "Einsum"
        | "LpNormalization"
        | "MatMulNBits"
        | "Conv"
        | "ConvTranspose"
        | "ReduceSum"
        | "ReduceMean"
        | "ReduceL1"
        | "ReduceL2"
        | "ReduceSumSquare"
        | "AveragePool"
        | "LpPool"
        | "GlobalAveragePool"
        | "LayerNormalization"
        | "RMSNormalization"
        | "InstanceNormalization"
        | "GroupNormalization"
        | "BatchNormalization"
        | "CumSum"
        | "GRU"
        | "LSTM"
        | "RNN"
        | "RecurrentGradient" => Rounding::Terms,
        "Div" | "Pow" | "Sqrt" | "Reciprocal" | "Exp" | "Log" | "Tanh" | "Sigmoid" | "Erf" | "Softplus" | "Softsign" | "Elu"
        | "Selu" | "LeakyRelu" | "PRelu" | "HardSigmoid" | "HardSwish" | "Gelu" | "GeluTanh" | "Swish" | "Mish" | "Celu"
        | "Softmax" | "LogSoftmax" | "ReduceLogSumExp" | "ReduceProd" | "Resize" | "DequantizeLinear" | "Fmod" | "Mod" | "Map" => {
            Rounding::Function
        }
        _ => Rounding::None,
    }
}

/// A tensor of floats with each number moved by up to `relative` of it.
fn shake(tensor: &Tensor, relative: f64, random: &mut Random) -> Tensor {
    let mut unit = || (random.next() >> 11) as f64 / (1u64 << 52) as f64 - 1.0;
    let moved: Vec<f64> = tensor.to_f64().iter().map(|x| if x.abs() < FILL { x * (1.0 + relative * unit()) } else { *x }).collect();
    Tensor::from_f64(tensor.ty().clone(), &moved).expect("as many elements")
}

/// Half a unit in the last place, relative to the number.
fn unit(dtype: DType) -> f64 {
    match dtype {
        DType::F16 => 2f64.powi(-11),
        DType::BF16 => 2f64.powi(-8),
        _ => 2f64.powi(-24),
    }
}

/// What one result is moved by.
fn relative(operator: &str, dtype: DType) -> f64 {
    let unit = unit(dtype);
    match rounding(operator) {
        // A cast to half floats rounds.
        Rounding::None if operator == "Cast" && dtype != DType::F32 => unit,
        Rounding::None => 0.0,
        Rounding::Once => unit,
        Rounding::Function | Rounding::Terms => unit.max(2f64.powi(-20)),
    }
}

/// The values of a graph, by value index; shaken when there is a generator to shake by.
pub fn values(graph: &Graph, inputs: &[Tensor], mut random: Option<&mut Random>) -> gristmill::Result<Vec<Option<Tensor>>> {
    let mut values: Vec<Option<Tensor>> = graph.values().iter().map(|v| v.constant.clone()).collect();
    for (input, tensor) in graph.inputs().iter().zip(inputs) {
        values[input.value.index()] = Some(tensor.clone());
    }
    for node in graph.nodes() {
        let name = node.op.name();
        let mut arguments: Vec<Option<Tensor>> = node.inputs.iter().map(|i| i.and_then(|id| values[id.index()].clone())).collect();
        if let (Rounding::Terms, Some(random)) = (rounding(name), random.as_deref_mut()) {
            for tensor in arguments.iter_mut().flatten().filter(|t| t.dtype().is_float()) {
                *tensor = shake(tensor, unit(tensor.dtype()).max(2f64.powi(-22)), random);
            }
        }
        let results = match node.op.flow() {
            Some(flow) => within(flow, &arguments, random.as_deref_mut()),
            None => node.op.reference(&arguments.iter().map(Option::as_ref).collect::<Vec<_>>()),
        };
        for (output, result) in node.outputs.iter().zip(results.map_err(|e| e.at(&node.path))?) {
            let Some(id) = output else { continue };
            let amount = relative(name, result.dtype());
            let shaken = random.as_deref_mut().filter(|_| result.dtype().is_float() && amount > 0.0);
            values[id.index()] = Some(match shaken {
                Some(random) => shake(&result, amount, random),
                None => result,
            });
        }
    }
    Ok(values)
}

/// The outputs of a graph within a node.
fn of_body(
    body: &Body,
    mut given: Vec<Tensor>,
    all: &[Option<Tensor>],
    random: Option<&mut Random>,
) -> gristmill::Result<Vec<Tensor>> {
    given.extend(body.inputs.iter().filter_map(|index| all[*index].clone()));
    let values = values(&body.graph, &given, random)?;
    Ok(body.graph.outputs().iter().filter_map(|id| values[id.index()].clone()).collect())
}

/// The outputs of an operator on whole values, whose graphs are shaken too.
fn within(flow: &dyn Flow, all: &[Option<Tensor>], mut random: Option<&mut Random>) -> gristmill::Result<Vec<Tensor>> {
    let holds = |tensor: &Option<Tensor>| tensor.as_ref().is_none_or(|t| t.to_i128()[0] != 0);
    if let Some(choice) = flow.downcast::<If>() {
        let body = if holds(&all[0]) { &choice.then_branch } else { &choice.else_branch };
        return of_body(body, vec![], all, random);
    }
    let Some(turns) = flow.downcast::<Loop>() else {
        let inputs: Vec<_> = all.iter().map(|tensor| tensor.clone().map_or(Structure::Absent, Structure::Tensor)).collect();
        return flow.evaluate(&inputs, MAX_TURNS)?.iter().map(|output| output.tensor().cloned()).collect();
    };
    let (mut going, count) = (holds(&all[1]), all[0].as_ref().map_or(i128::MAX, |count| count.to_i128()[0]));
    let mut carried: Vec<Tensor> = all[2..2 + turns.carried].iter().flatten().cloned().collect();
    let scans: Vec<&Tensor> = all[2 + turns.carried..][..turns.scan_inputs].iter().flatten().collect();
    let count = scans.iter().map(|scan| scan.shape()[0] as i128).fold(count, i128::min);
    let mut rows: Vec<Vec<Tensor>> = Vec::new();
    let mut number = 0i64;
    while going && i128::from(number) < count {
        let mut given = vec![Tensor::scalar(number), Tensor::scalar(true)];
        given.extend(carried.iter().cloned());
        given.extend(scans.iter().map(|scan| slice(scan, number as usize).expect("it has as many slices")));
        let mut outputs = of_body(&turns.body, given, all, random.as_deref_mut())?.into_iter();
        going = holds(&outputs.next());
        carried = outputs.by_ref().take(turns.carried).collect();
        let made: Vec<Tensor> = outputs.collect();
        rows.resize(made.len(), vec![]);
        rows.iter_mut().zip(made).for_each(|(rows, row)| rows.push(row));
        number += 1;
    }
    let stacked = rows.iter().enumerate().map(|(k, rows)| stack(k, rows, rows[0].ty()));
    Ok([carried, stacked.collect::<gristmill::Result<Vec<_>>>()?].concat())
}

/// An output with how far each element may lie from it.
pub struct Expected {
    pub tensor: Tensor,
    /// Infinite where rounding alone turns a decision.
    allowed: Vec<f64>,
}

/// The outputs of a network by the references, whose values are given, with what is allowed of each element.
pub fn expected(graph: &Graph, inputs: &[Tensor], right: Vec<Option<Tensor>>) -> gristmill::Result<Vec<Expected>> {
    let outputs = |values: Vec<Option<Tensor>>| -> Vec<Tensor> {
        graph.outputs().iter().filter_map(|id| values[id.index()].clone()).collect()
    };
    let tensors = outputs(right);
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        rounds.push(outputs(values(graph, inputs, Some(&mut Random::new(round)))?));
    }
    let mut found = Vec::new();
    for (k, tensor) in tensors.into_iter().enumerate() {
        let right = tensor.to_f64();
        let mut spread = vec![0.0f64; right.len()];
        for shaken in &rounds {
            for ((most, e), s) in spread.iter_mut().zip(&right).zip(shaken[k].to_f64()) {
                let same = *e == s || (e.is_nan() && s.is_nan());
                let distance = if same { 0.0 } else { (e - s).abs() };
                let turned = !tensor.dtype().is_float() || !distance.is_finite();
                *most = most.max(if distance == 0.0 {
                    0.0
                } else if turned {
                    f64::INFINITY
                } else {
                    distance
                });
            }
        }
        // The elements of a row have their errors in common.
        for row in spread.chunks_mut(tensor.shape().last().copied().unwrap_or(1).max(1)) {
            let finite = row.iter().filter(|s| s.is_finite());
            let mean = finite.clone().sum::<f64>() / finite.count().max(1) as f64;
            row.iter_mut().for_each(|s| *s = s.max(mean));
        }
        let mut sorted: Vec<f64> = spread.iter().copied().filter(|s| s.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let median = sorted.get(sorted.len() / 2).copied().unwrap_or(0.0);
        let kind = match tensor.dtype() {
            DType::F16 => 2f64.powi(-9),
            _ => F32.relative,
        };
        let allowed = right.iter().zip(&spread).map(|(e, s)| {
            let own = if tensor.dtype().is_float() { F32.absolute + kind * e.abs() } else { 0.0 };
            if s.is_finite() { own + MARGIN * s.max(median) } else { f64::INFINITY }
        });
        let allowed = allowed.collect();
        found.push(Expected { tensor, allowed });
    }
    Ok(found)
}

impl Expected {
    /// The first element that is out of bounds, in words. NaN equals NaN, and infinities themselves.
    pub fn difference(&self, found: &Tensor) -> Option<String> {
        if found.ty() != self.tensor.ty() {
            return Some(format!("expected {}, found {}", self.tensor.ty(), found.ty()));
        }
        let (e, f) = (self.tensor.to_f64(), found.to_f64());
        let same = |i: &usize| e[*i] == f[*i] || (e[*i].is_nan() && f[*i].is_nan());
        let near = |i: &usize| self.allowed[*i].is_infinite() || (e[*i] - f[*i]).abs() <= self.allowed[*i];
        let wrong: Vec<usize> = (0..e.len()).filter(|i| !same(i) && !near(i)).collect();
        let first = *wrong.first()?;
        Some(format!(
            "{} of {} elements of {}; first at {first}: expected {}, found {}, allowed {:.1e}",
            wrong.len(),
            e.len(),
            self.tensor.ty(),
            e[first],
            f[first],
            self.allowed[first]
        ))
    }

    /// True when the bounds say little: half of the elements may be wrong by a tenth of what such an element is.
    pub fn is_loose(&self) -> bool {
        let numbers = self.tensor.to_f64();
        let finite: Vec<f64> = numbers.iter().copied().filter(|x| x.is_finite()).collect();
        let typical = (finite.iter().map(|x| x * x).sum::<f64>() / finite.len().max(1) as f64).sqrt();
        let loose = numbers.iter().zip(&self.allowed).filter(|(x, a)| **a > 0.1 * x.abs().max(typical) && **a > 2.0 * F32.absolute);
        2 * loose.count() > numbers.len().max(1)
    }
}
