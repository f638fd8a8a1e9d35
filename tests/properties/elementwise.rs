//! Random programs over operands that broadcast.

use super::{Draw, Net, numbers, property};
use crate::cases::Tolerance;
use gristmill::internals::graph::ValueId;
use gristmill::internals::ops::elementwise::{binary, cast, clip, select, unary, unary_with, variadic};
use gristmill::{DType, Tensor};

/// A chain of sums and products carries the rounding of its largest intermediate value.
const CHAIN: Tolerance = Tolerance { relative: 1e-4, absolute: 1e-4 };

const EXTENTS: [usize; 12] = [4, 1, 3, 2, 5, 7, 8, 33, 4, 8, 16, 12];

/// An operand that broadcasts to `shape`: constant, an input, or an input seen through a transposition.
fn operand(draw: &mut Draw, net: &mut Net, shape: &[usize], dtype: DType) -> ValueId {
    let shape = draw.narrower(shape);
    let tensor = numbers(&mut net.random, dtype, &shape);
    match draw.within(0, 3) {
        0 | 1 => net.input(tensor),
        2 => net.constant(tensor),
        _ if dtype == DType::F32 => net.transposed(draw, &shape),
        _ => net.input(tensor),
    }
}

#[test]
fn programs_of_floats() {
    property(40, CHAIN, |draw, net| {
        let rank = draw.within(0, 8);
        let shape = draw.shape(rank, &EXTENTS, 4000);
        let raw: Vec<ValueId> = (0..draw.within(1, 4)).map(|_| operand(draw, net, &shape, DType::F32)).collect();
        let mut values = raw.clone();
        for _ in 0..draw.within(1, 7) {
            let (x, y) = (draw.pick(&values), draw.pick(&values));
            let made = match draw.within(0, 9) {
                0..=2 => net.apply(binary(draw.pick(&["Add", "Sub", "Mul", "Min", "Max"])).expect("a function"), &[x, y]),
                3..=5 => {
                    let names = ["Neg", "Abs", "Relu", "Tanh", "Sigmoid", "Erf", "Softplus", "Softsign", "Identity", "Cos"];
                    net.apply(unary(draw.pick(&names)).expect("a function"), &[x])
                }
                6 => net.apply(unary_with(draw.pick(&["LeakyRelu", "Elu", "Celu"]), &[0.3]).expect("a function"), &[x]),
                7 => {
                    // Only inputs are compared: what is computed may differ in the last bit.
                    let (a, b) = (draw.pick(&raw), draw.pick(&raw));
                    let less = net.apply(binary(draw.pick(&["Less", "GreaterOrEqual"])).expect("a function"), &[a, b]);
                    net.apply(select().expect("a function"), &[less, x, y])
                }
                8 => net.apply(clip(draw.flag().then_some(-0.25), draw.flag().then_some(0.5)).expect("a function"), &[x]),
                _ => {
                    let z = draw.pick(&values);
                    net.apply(variadic(draw.pick(&["Sum", "Mean", "Max"]), 3).expect("a function"), &[x, y, z])
                }
            };
            values.push(made);
        }
        let last = *values.last().expect("at least one");
        // A second output must survive the fusion of what uses it.
        let second = draw.pick(&values[raw.len()..]);
        if second != last && draw.rarely(3) { vec![last, second] } else { vec![last] }
    });
}

#[test]
fn programs_of_integers() {
    property(32, CHAIN, |draw, net| {
        let rank = draw.within(0, 4);
        let shape = draw.shape(rank, &EXTENTS, 2000);
        let mut dtype = draw.pick(&[DType::I32, DType::U8, DType::I64, DType::I8, DType::U32, DType::I16, DType::U16]);
        let mut values: Vec<ValueId> = (0..2).map(|_| operand(draw, net, &shape, dtype)).collect();
        for _ in 0..draw.within(1, 5) {
            let (x, y) = (draw.pick(&values), draw.pick(&values));
            let made = match draw.within(0, 6) {
                0 | 1 => net.apply(binary(draw.pick(&["Add", "Sub", "Mul", "Min", "Max"])).expect("a function"), &[x, y]),
                2 => net.apply(binary(draw.pick(&["BitwiseAnd", "BitwiseOr", "BitwiseXor"])).expect("a function"), &[x, y]),
                3 => net.apply(unary(draw.pick(&["Identity", "BitwiseNot"])).expect("a function"), &[x]),
                4 => {
                    let divisor = net.random.integers(dtype, &[], 1, 9);
                    let divisor = net.constant(divisor);
                    net.apply(binary(draw.pick(&["Div", "Mod", "Fmod"])).expect("a function"), &[x, divisor])
                }
                5 => {
                    let test = net.apply(binary(draw.pick(&["Equal", "Less", "LessOrEqual"])).expect("a function"), &[x, y]);
                    net.apply(select().expect("a function"), &[test, x, y])
                }
                _ => {
                    dtype = draw.pick(&[DType::I32, DType::I8, DType::U8, DType::I64, DType::U16, DType::I16, DType::U32]);
                    let made = net.apply(cast(dtype).expect("a cast"), &[x]);
                    values.clear();
                    made
                }
            };
            values.push(made);
        }
        vec![*values.last().expect("at least one")]
    });
}

#[test]
fn casts_between_all_dtypes() {
    property(24, CHAIN, |draw, net| {
        let rank = draw.within(0, 3);
        let shape = draw.shape(rank, &EXTENTS, 500);
        let kinds = [DType::F32, DType::I32, DType::Bool, DType::U8, DType::I8, DType::I64, DType::U16, DType::F16, DType::BF16];
        let from = draw.pick(&kinds);
        let mut x = match from {
            // Numbers with halves in them; out of range they mean nothing.
            DType::F32 => {
                let tensor =
                    net.random.integers(DType::I32, &shape, 0, 250).to_f64().iter().map(|v| *v as f32 / 2.0).collect::<Vec<_>>();
                net.input(Tensor::new(shape.clone(), &tensor).expect("as many elements"))
            }
            _ => {
                let tensor = numbers(&mut net.random, from, &shape);
                net.input(tensor)
            }
        };
        for _ in 0..draw.within(1, 3) {
            x = net.apply(cast(draw.pick(&kinds)).expect("a cast"), &[x]);
        }
        vec![x]
    });
}
