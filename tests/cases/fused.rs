//! Elementwise programs as epilogues of other kernels: every way to read an operand, in the base's every variant.

use super::matmul::sums;
use super::{Case, Random, Tolerance};
use gristmill::internals::graph::Op;
use gristmill::internals::kernel::{Instruction, Program, ProgramOperand, Term};
use gristmill::internals::ops::causal_conv::causal_conv_with_state;
use gristmill::internals::ops::conv::{SlidingWindow, conv};
use gristmill::internals::ops::elementwise::function;
use gristmill::internals::ops::fused::Fused;
use gristmill::internals::ops::{matmul, norm, softmax};
use gristmill::internals::tensor::View;
use gristmill::{DType, Tensor};
use std::sync::Arc;

/// The base's sums in another order, then some f32 instructions.
const SUMS: Tolerance = Tolerance { relative: 1e-4, absolute: 1e-5 };

fn instruction(name: &str, arguments: &[Term]) -> Instruction {
    Instruction { function: function(name).expect("the table has it"), arguments: arguments.to_vec(), cast: None }
}

/// `gelu(carried + operand 0)`
fn biased(view: Option<View>) -> Program {
    Program {
        operands: vec![ProgramOperand { view }],
        instructions: vec![instruction("Add", &[Term::Carried, Term::Operand(0)]), instruction("Gelu", &[Term::Result(0)])],
    }
}

fn row(name: &str, base: Arc<dyn Op>, own: Vec<Option<Tensor>>, program: Program, operands: Vec<Tensor>) -> Case {
    let arity = own.len();
    let mut case = Case::new(format!("fused/{name}"), Arc::new(Fused { base, program, arity }), vec![]).tolerance(SUMS);
    case.inputs = own.into_iter().chain(operands.into_iter().map(Some)).collect();
    case
}

pub fn cases() -> Vec<Case> {
    let mut random = Random::new(71);
    let mut floats = |shape: &[usize]| random.floats(shape);
    let mut cases = Vec::new();
    let products: &[(&str, [&[usize]; 3])] = &[
        ("row", [&[6, 8], &[8, 12], &[12]]),
        ("column", [&[6, 8], &[8, 12], &[6, 1]]),
        ("full", [&[6, 8], &[8, 12], &[6, 12]]),
        ("scalar", [&[6, 8], &[8, 12], &[]]),
        ("row_odd", [&[5, 7], &[7, 9], &[9]]),
        ("column_odd", [&[5, 7], &[7, 9], &[5, 1]]),
        ("batched", [&[3, 5, 8], &[8, 16], &[3, 1, 16]]),
        ("vector", [&[1, 32], &[32, 64], &[64]]),
        ("wide", [&[33, 40], &[40, 68], &[33, 68]]),
    ];
    for (name, [a, b, operand]) in products {
        let own = vec![Some(floats(a)), Some(floats(b))];
        cases.push(row(&format!("matmul_{name}"), matmul::matmul(), own, biased(None), vec![floats(operand)]));
    }
    let turned = View::contiguous(&[12, 6].into()).transpose(&[1, 0]);
    let own = vec![Some(floats(&[6, 8])), Some(floats(&[8, 12]))];
    cases.push(row("matmul_transposed_operand", matmul::matmul(), own.clone(), biased(Some(turned)), vec![floats(&[12, 6])]));
    let shifted = View::contiguous(&[6, 16].into()).slice(1, 3, 12, 1);
    cases.push(row("matmul_sliced_operand", matmul::matmul(), own.clone(), biased(Some(shifted)), vec![floats(&[6, 16])]));

    // A mask and a choice: where(mask, carried * scale, -1)
    let choice = Program {
        operands: vec![ProgramOperand::default(); 2],
        instructions: vec![
            instruction("Mul", &[Term::Carried, Term::Operand(1)]),
            instruction("Where", &[Term::Operand(0), Term::Result(0), Term::Literal(-1.0)]),
        ],
    };
    let mask = Random::new(72).integers(DType::Bool, &[6, 12], 0, 2);
    cases.push(row("matmul_choice", matmul::matmul(), own, choice.clone(), vec![mask.clone(), floats(&[1])]));
    cases.push(row("softmax_choice", softmax::softmax(-1), vec![Some(floats(&[6, 12]))], choice, vec![mask, floats(&[12])]));
    for (name, shape) in [("softmax", [5, 24]), ("softmax_odd", [7, 13])] {
        let bias = floats(&shape[1..]);
        cases.push(row(name, softmax::softmax(-1), vec![Some(floats(&shape))], biased(None), vec![bias]));
    }
    // The operand stands where the base would look for its optional third input.
    for (name, shape) in [("layer_norm", [6, 20]), ("layer_norm_odd", [3, 17])] {
        let (own, residual) = (vec![Some(floats(&shape)), Some(floats(&shape[1..]))], floats(&shape));
        cases.push(row(name, norm::layer_normalization(-1, 1e-5), own, biased(None), vec![residual]));
    }
    for (name, shape) in [("causal_conv", [2, 3, 8]), ("causal_conv_odd", [1, 5, 7])] {
        let own = vec![Some(floats(&shape)), Some(floats(&[shape[1], 1, 4])), Some(floats(&shape[1..2])), None];
        let op = causal_conv_with_state();
        cases.push(row(name, op, own, biased(None), vec![floats(&[shape[1], 1])]).outputs(2));
    }
    // Windows of 3x3, whose sums and bias every kernel adds in its own order.
    for (name, [images, channels, height, width]) in [("aligned", [2, 12, 9, 16]), ("odd", [1, 9, 7, 13])] {
        let own = [&[images, channels, height, width][..], &[10, channels, 3, 3], &[10]].map(|shape| Some(floats(shape)));
        let residual = floats(&[images, 10, height, width]);
        let window = SlidingWindow { pads: vec![1; 4], ..SlidingWindow::default() };
        let case = row(&format!("conv_{name}"), conv(window, 1), own.to_vec(), biased(None), vec![residual]);
        cases.push(case.tolerance(sums(channels * 9)).weights(&[1, 2]));
    }
    cases
}
