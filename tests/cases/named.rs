//! The rows that `gristmill bench` times, as far as the references are quick enough for them: such a row is named once, in the table
//! of problems, and measured and checked from there.

use super::linear_attention::STATES;
use super::matmul::sums;
use super::problems::{FAMILIES, Problem};
use super::rnn::STEPS;
use super::{Case, F32, Tolerance};
use gristmill::DType;

/// The largest problem, in floating-point operations and bytes.
const LARGEST: (u64, u64) = (240_000_000, 20_000_000);
/// The most bytes of a problem whose kernels no compiler's figures are kept of: each size has variants of its own, which a software adapter
/// compiles for longer than it computes.
const SMALL: u64 = 200_000;

pub fn cases() -> Vec<Case> {
    let timed = FAMILIES.iter().flat_map(|family| {
        let most = |is_compiled| if is_compiled { LARGEST.1 } else { SMALL };
        family
            .rows
            .iter()
            .map(move |row| (family.problem(row.shape).expect("rows of the table are well written"), most(row.is_compiled)))
    });
    timed.filter(|(p, most)| p.flops <= LARGEST.0 && p.read + p.written <= *most).filter_map(|(p, _)| case(&p)).collect()
}

/// A problem of one operator; a chain of several is for passes to join, and the case table has rows of what they make of it.
fn case(problem: &Problem) -> Option<Case> {
    let [step] = problem.steps.as_slice() else { return None };
    let inputs = problem.data(DType::F32).expect("the shapes are valid");
    let is_weight = |input: &Option<usize>| input.is_some_and(|k| problem.operands[k].is_weight);
    let weights: Vec<usize> = (0..step.inputs.len()).filter(|k| is_weight(&step.inputs[*k])).collect();
    // Some inputs are left out.
    let inputs = step.inputs.iter().map(|input| input.map(|k| inputs[k].clone())).collect();
    let case = Case { inputs, ..Case::new(problem.name(), step.op.clone(), vec![]) };
    Some(case.weights(&weights).tolerance(tolerance(problem)))
}

/// Sums of many products differ by their order.
fn tolerance(problem: &Problem) -> Tolerance {
    let dims = |operand: usize| problem.operands[operand].dims.as_slice();
    match problem.family {
        "matmul" => sums(dims(0).last().copied().unwrap_or(1)),
        // Its weights are up to 2^(bits - 1) large.
        "matmul_nbits" => {
            let exact = sums(dims(0).last().copied().unwrap_or(1));
            Tolerance { absolute: exact.absolute * 256.0, ..exact }
        }
        "conv" | "conv_transpose" | "conv_1d" => sums(dims(1)[1..].iter().product()),
        "gru" | "lstm" => STEPS,
        "linear_attention" => STATES,
        _ => F32,
    }
}
