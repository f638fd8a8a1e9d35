//! Elementwise operators: every function and dtype class, every way of broadcasting, views, and programs of several
//! instructions.

use super::{Case, Random, Tolerance};
use gristmill::internals::graph::{Fact, Op};
use gristmill::internals::kernel::{Instruction, Program, ProgramOperand, Term};
use gristmill::internals::ops::elementwise::{
    Map, binary, cast, cast_like, clip, clip_operands, function, select, unary, unary_with, variadic,
};
use gristmill::internals::tensor::View;
use gristmill::{DType, Tensor, TensorType};
use std::sync::Arc;

/// One f32 rounding per instruction, some units in the last place for what is not exact.
const CLOSE: Tolerance = Tolerance { relative: 2e-6, absolute: 1e-7 };

/// Integers, bools and exact float functions.
const EXACT: Tolerance = Tolerance { relative: 0.0, absolute: 0.0 };

pub fn cases() -> Vec<Case> {
    let groups = [
        functions(),
        parameters(),
        pairs(),
        halves(),
        integers(),
        comparisons(),
        broadcasts(),
        casts(),
        specials(),
        views(),
        programs(),
        copied(),
    ];
    groups.into_iter().flatten().collect()
}

fn op(built: gristmill::Result<Arc<dyn Op>>) -> Arc<dyn Op> {
    built.expect("the constructor knows the function")
}

/// An f32 tensor of values in `low..high`.
fn spread(seed: u64, shape: &[usize], low: f32, high: f32) -> Tensor {
    let unit = Random::new(seed).floats(shape);
    let values: Vec<f64> = unit.to_f64().iter().map(|x| f64::from(low) + (x + 1.0) / 2.0 * f64::from(high - low)).collect();
    Tensor::from_f64(unit.ty().clone(), &values).expect("as many values as elements")
}

fn to(dtype: DType, tensor: &Tensor) -> Tensor {
    Tensor::from_f64(TensorType::new(dtype, tensor.shape().clone()), &tensor.to_f64()).expect("as many values as elements")
}

/// Functions of one float, at both widths, over a range that shows their branches.
fn functions() -> Vec<Case> {
    let rows: &[(&str, f32, f32)] = &[
        ("Abs", -4.0, 4.0),
        ("Neg", -4.0, 4.0),
        ("Sign", -2.0, 2.0),
        ("Ceil", -5.0, 5.0),
        ("Floor", -5.0, 5.0),
        ("Round", -5.0, 5.0),
        ("Sqrt", 0.0, 100.0),
        ("Rsqrt", 0.01, 100.0),
        ("Reciprocal", 0.01, 10.0),
        ("Exp", -20.0, 20.0),
        ("Log", 0.001, 1000.0),
        ("Sin", -100.0, 100.0),
        ("Cos", -100.0, 100.0),
        ("Tan", -1.5, 1.5),
        ("Asin", -1.0, 1.0),
        ("Acos", -1.0, 1.0),
        ("Atan", -10.0, 10.0),
        ("Sinh", -10.0, 10.0),
        ("Cosh", -10.0, 10.0),
        ("Tanh", -12.0, 12.0),
        ("Asinh", -2000.0, 2000.0),
        ("Acosh", 1.0, 2000.0),
        ("Atanh", -0.99, 0.99),
        ("Erf", -5.0, 5.0),
        ("Relu", -1.0, 1.0),
        ("Sigmoid", -20.0, 20.0),
        ("HardSwish", -5.0, 5.0),
        ("Gelu", -6.0, 6.0),
        ("GeluTanh", -6.0, 6.0),
        ("Mish", -30.0, 30.0),
        ("Softplus", -30.0, 30.0),
        ("Softsign", -10.0, 10.0),
        ("Identity", -1.0, 1.0),
    ];
    let mut cases = Vec::new();
    for (seed, &(name, low, high)) in rows.iter().enumerate() {
        let (wide, odd) =
            (spread(seed as u64, &[8, 32], low, high), spread(seed as u64 + 100, &[3, 5, 7], low / 16.0, high / 16.0));
        cases.push(Case::new(format!("elementwise/{name}"), op(unary(name)), vec![wide]).tolerance(CLOSE));
        let odd = if low > 0.0 { spread(seed as u64, &[3, 5, 7], low, high) } else { odd };
        cases.push(Case::new(format!("elementwise/{name}_odd"), op(unary(name)), vec![odd]).tolerance(CLOSE));
    }
    cases
}

/// Functions with parameters, at ONNX's defaults and at others.
fn parameters() -> Vec<Case> {
    let rows: &[(&str, &[f64])] = &[
        ("LeakyRelu", &[0.01]),
        ("ThresholdedRelu", &[1.0]),
        ("Elu", &[1.0]),
        ("Celu", &[2.0]),
        ("Selu", &[1.673_263_192_176_818_8, 1.050_700_902_938_842_8]),
        ("HardSigmoid", &[0.2, 0.5]),
        ("HardSigmoid", &[0.5, -0.25]),
        ("Swish", &[1.0]),
        ("Swish", &[-1.5]),
        ("Shrink", &[0.0, 0.5]),
        ("Shrink", &[1.5, 1.25]),
        ("IsInf", &[1.0, 1.0]),
    ];
    let mut cases = Vec::new();
    for (seed, &(name, values)) in rows.iter().enumerate() {
        for shape in [&[4, 20][..], &[7, 11]] {
            let input = spread(seed as u64, shape, -4.0, 4.0);
            let case = Case::new(format!("elementwise/{name}_{values:?}_{shape:?}"), op(unary_with(name, values)), vec![input]);
            cases.push(case.tolerance(CLOSE));
        }
    }
    cases
}

/// Functions of two floats, of one shape.
fn pairs() -> Vec<Case> {
    let mut cases = Vec::new();
    for (seed, name) in ["Add", "Sub", "Mul", "Div", "Min", "Max", "Fmod", "PRelu"].into_iter().enumerate() {
        for shape in [&[6, 10][..], &[5, 9]] {
            let (a, b) = (spread(seed as u64, shape, -8.0, 8.0), spread(seed as u64 + 50, shape, 0.5, 3.0));
            let case = Case::new(format!("elementwise/{name}_{shape:?}"), op(binary(name)), vec![a, b]);
            cases.push(case.tolerance(CLOSE));
        }
    }
    let powers = |name: &str, base: Tensor, exponent: Tensor| {
        // exp2(y log2 x) loses as many digits as y log2 x has before the point.
        let tolerance = Tolerance { relative: 2e-5, absolute: 1e-6 };
        Case::new(format!("elementwise/Pow_{name}"), op(binary("Pow")), vec![base, exponent]).tolerance(tolerance)
    };
    cases.push(powers("positive", spread(1, &[8, 8], 0.01, 10.0), spread(2, &[8, 8], -5.0, 5.0)));
    cases.push(powers("squares", spread(3, &[9, 7], -10.0, 10.0), Tensor::scalar(2.0f32)).tolerance(CLOSE));
    cases.push(powers("negative_base", spread(4, &[5, 8], -3.0, 3.0), Random::new(5).integers(DType::I32, &[5, 8], -6, 7)));
    cases.push(powers(
        "large_exponents",
        spread(6, &[2, 8], -1.1, -0.9),
        to(DType::F32, &Random::new(7).integers(DType::I32, &[2, 8], 60, 90)),
    ));
    cases
}

/// Half floats: computed in f32 and rounded after every instruction. An f32 result beside a tie may round to the other
/// neighbour.
fn halves() -> Vec<Case> {
    let mut cases = Vec::new();
    for (dtype, unit) in [(DType::F16, 1.0 / 1024.0), (DType::BF16, 1.0 / 128.0)] {
        let near = Tolerance { relative: unit, absolute: 1e-6 };
        for (k, shape) in [&[4, 9][..], &[5, 7]].into_iter().enumerate() {
            let (a, b) = (to(dtype, &spread(81, shape, -4.0, 4.0)), to(dtype, &spread(82, shape, 0.5, 3.0)));
            for name in ["Add", "Mul", "Div", "Less"] {
                let case = Case::new(format!("elementwise/{name}_{dtype}_{k}"), op(binary(name)), vec![a.clone(), b.clone()]);
                cases.push(case.tolerance(near));
            }
            for name in ["Exp", "Sigmoid", "Gelu", "Round"] {
                cases.push(Case::new(format!("elementwise/{name}_{dtype}_{k}"), op(unary(name)), vec![a.clone()]).tolerance(near));
            }
        }
    }
    cases
}

/// Functions of integers, of every width, with results that wrap.
fn integers() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut random = Random::new(11);
    let widths = [
        (DType::I8, -128, 128),
        (DType::U8, 0, 256),
        (DType::I16, -32768, 32768),
        (DType::U16, 0, 65536),
        (DType::I32, -1 << 31, 1 << 31),
        (DType::U32, 0, 1 << 32),
    ];
    for (dtype, low, high) in widths {
        for name in ["Add", "Sub", "Mul", "Div", "Mod", "Fmod", "Min", "Max", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "PRelu"] {
            let (a, mut b) = (random.integers(dtype, &[6, 7], low, high), random.integers(dtype, &[6, 7], low, high));
            if name == "Div" || name.ends_with("od") {
                b = random.integers(dtype, &[6, 7], low.max(-9), 10);
            }
            cases.push(Case::new(format!("elementwise/{name}_{dtype}"), op(binary(name)), vec![a, b]).tolerance(EXACT));
        }
        for name in ["Abs", "Neg", "Sign", "Relu", "BitwiseNot"] {
            let a = random.integers(dtype, &[4, 9], low, high);
            cases.push(Case::new(format!("elementwise/{name}_{dtype}"), op(unary(name)), vec![a]).tolerance(EXACT));
        }
        let (a, b) =
            (random.integers(dtype, &[4, 8], low.max(-9), 10), random.integers(dtype, &[4, 8], if low < 0 { -2 } else { 0 }, 9));
        cases.push(Case::new(format!("elementwise/Pow_{dtype}"), op(binary("Pow")), vec![a, b]).tolerance(EXACT));
        let x = random.integers(dtype, &[5, 8], low, high);
        cases.push(Case::new(format!("elementwise/Clip_{dtype}"), op(clip(Some(3.0), Some(100.0))), vec![x]).tolerance(EXACT));
        for name in ["BitShiftLeft", "BitShiftRight"] {
            let (a, b) = (random.integers(dtype, &[5, 8], low, high), random.integers(dtype, &[5, 8], 0, 40));
            cases.push(Case::new(format!("elementwise/{name}_{dtype}"), op(binary(name)), vec![a, b]).tolerance(EXACT));
        }
    }
    // 64 bits are served in 32 where bounds are proven, on the host elsewhere.
    let (a, b) = (random.integers(DType::I64, &[3, 4], -1000, 1000), random.integers(DType::I64, &[3, 4], 1, 1000));
    for name in ["Add", "Sub", "Mul", "Div", "Mod", "Min", "Less"] {
        cases.push(Case::new(format!("elementwise/{name}_i64"), op(binary(name)), vec![a.clone(), b.clone()]).tolerance(EXACT));
    }
    cases
}

fn comparisons() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut random = Random::new(21);
    for dtype in [DType::F32, DType::I32, DType::U8] {
        for name in ["Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"] {
            let (a, b) = (random.integers(dtype, &[4, 8], 0, 4), random.integers(dtype, &[4, 8], 0, 4));
            cases.push(Case::new(format!("elementwise/{name}_{dtype}"), op(binary(name)), vec![a, b]).tolerance(EXACT));
        }
    }
    for name in ["And", "Or", "Xor", "Equal"] {
        let (a, b) = (random.integers(DType::Bool, &[3, 5], 0, 2), random.integers(DType::Bool, &[5], 0, 2));
        cases.push(Case::new(format!("elementwise/{name}_bool"), op(binary(name)), vec![a, b]).tolerance(EXACT));
    }
    let flags = random.integers(DType::Bool, &[2, 1, 8], 0, 2);
    cases.push(Case::new("elementwise/Not", op(unary("Not")), vec![flags.clone()]).tolerance(EXACT));
    for dtype in [DType::F32, DType::I32, DType::Bool, DType::I64] {
        let (a, b) = (random.integers(dtype, &[3, 8], 0, 2), random.integers(dtype, &[1], 0, 2));
        cases.push(Case::new(format!("elementwise/Where_{dtype}"), op(select()), vec![flags.clone(), a, b]).tolerance(EXACT));
    }
    cases
}

/// Every way in which one shape spreads over another, among them sizes 0 and 1 and eight axes.
fn broadcasts() -> Vec<Case> {
    let rows: &[(&[usize], &[usize])] = &[
        (&[], &[]),
        (&[1], &[]),
        (&[4, 8], &[]),
        (&[5, 7], &[1, 1]),
        (&[4, 8], &[8]),
        (&[4, 7], &[7]),
        (&[4, 8], &[4, 1]),
        (&[4, 7], &[4, 1]),
        (&[2, 3, 4, 4], &[3, 1, 1]),
        (&[2, 3, 5, 5], &[3, 1, 1]),
        (&[2, 3, 5, 4], &[1, 3, 5, 1]),
        (&[4, 1], &[1, 6]),
        (&[3, 1], &[1, 7]),
        (&[1, 4, 1, 8], &[3, 1, 2, 1]),
        (&[0], &[1]),
        (&[3, 0, 2], &[3, 1, 2]),
        (&[2, 1, 3, 1, 2, 1, 2, 4], &[1, 2, 1, 3, 1, 2, 2, 1]),
        (&[2, 1, 3, 1, 2, 1, 1, 3], &[1, 2, 1, 3, 1, 2, 2, 1]),
        (&[1, 1, 1, 1, 1, 1, 1, 1], &[2]),
        (&[257, 129], &[129]),
    ];
    let mut cases = Vec::new();
    for (seed, (a, b)) in rows.iter().enumerate() {
        let (x, y) = (Random::new(seed as u64).floats(a), Random::new(seed as u64 + 1000).floats(b));
        for (order, inputs) in [("left", vec![x.clone(), y.clone()]), ("right", vec![y, x])] {
            cases.push(Case::new(format!("elementwise/broadcast_{a:?}_{b:?}_{order}"), op(binary("Sub")), inputs).tolerance(CLOSE));
        }
    }
    cases
}

fn casts() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut random = Random::new(31);
    let gpu = [
        DType::F32,
        DType::F16,
        DType::BF16,
        DType::I8,
        DType::I16,
        DType::I32,
        DType::U8,
        DType::U16,
        DType::U32,
        DType::Bool,
        DType::I64,
    ];
    for from in gpu {
        for to_dtype in gpu {
            let input = match from {
                _ if from.is_float() => to(from, &spread(41, &[4, 8], if to_dtype.is_integer() { 0.0 } else { -70.0 }, 120.0)),
                DType::Bool => random.integers(from, &[4, 8], 0, 2),
                _ => random.integers(from, &[4, 8], 0, 128),
            };
            cases.push(Case::new(format!("elementwise/Cast_{from}_{to_dtype}"), op(cast(to_dtype)), vec![input]).tolerance(EXACT));
        }
    }
    let fine: Vec<f32> = (0..64)
        .map(|k| (1.0 + k as f32 / 4099.0) * [1e-9f32, 3e-8, 2.5e-6, 6.1e-5, 1.0, 2047.3, 65500.0, 65519.0][k % 8])
        .collect();
    for dtype in [DType::F16, DType::BF16] {
        cases.push(
            Case::new(format!("elementwise/Cast_rounds_{dtype}"), op(cast(dtype)), vec![Tensor::vector(&fine)]).tolerance(EXACT),
        );
    }
    let like = vec![spread(42, &[4, 8], -9.0, 9.0), random.integers(DType::I32, &[1], 0, 2)];
    cases.push(Case::new("elementwise/CastLike", cast_like(), like).tolerance(EXACT));
    let wrap = Tensor::vector(&[300i32, -300, 65536, -1, 128, 255, 256, -129]);
    for dtype in [DType::I8, DType::U8, DType::I16, DType::U16, DType::U32] {
        cases.push(Case::new(format!("elementwise/Cast_wraps_{dtype}"), op(cast(dtype)), vec![wrap.clone()]).tolerance(EXACT));
    }
    cases
}

/// NaN, infinities, zeros and ties, with the results that numpy gives.
fn specials() -> Vec<Case> {
    [specials_of_one(), specials_of_two(), specials_of_division()].into_iter().flatten().collect()
}

fn specials_of_one() -> Vec<Case> {
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    let x = [nan, inf, -inf, 0.0, -0.0, 2.5, -2.5, 0.5];
    let one = |name: &str, built: gristmill::Result<Arc<dyn Op>>, expected: &[f32]| {
        let case = Case::new(format!("elementwise/special_{name}"), op(built), vec![Tensor::vector(&x)]);
        case.tolerance(CLOSE).golden(vec![Tensor::vector(expected)])
    };
    let flag = |name: &str, built: gristmill::Result<Arc<dyn Op>>, expected: &[bool]| {
        let case = Case::new(format!("elementwise/special_{name}"), op(built), vec![Tensor::vector(&x)]);
        case.tolerance(EXACT).golden(vec![Tensor::vector(expected)])
    };
    let (t, f) = (true, false);
    vec![
        one("Relu", unary("Relu"), &[nan, inf, 0.0, 0.0, 0.0, 2.5, 0.0, 0.5]),
        one("Round", unary("Round"), &[nan, inf, -inf, 0.0, 0.0, 2.0, -2.0, 0.0]),
        one("Sign", unary("Sign"), &[nan, 1.0, -1.0, 0.0, 0.0, 1.0, -1.0, 1.0]),
        one("Tanh", unary("Tanh"), &[nan, 1.0, -1.0, 0.0, 0.0, 0.986_614_3, -0.986_614_3, 0.462_117_16]),
        one("Sigmoid", unary("Sigmoid"), &[nan, 1.0, 0.0, 0.5, 0.5, 0.924_141_8, 0.075_858_18, 0.622_459_35]),
        one("Exp", unary("Exp"), &[nan, inf, 0.0, 1.0, 1.0, 12.182_494, 0.082_085, 1.648_721_3]),
        one("Log", unary("Log"), &[nan, inf, nan, -inf, -inf, 0.916_290_7, nan, -std::f32::consts::LN_2]),
        one("Clip", clip(Some(-1.0), Some(2.0)), &[nan, 2.0, -1.0, 0.0, 0.0, 2.0, -1.0, 0.5]),
        one("Clip_below", clip(Some(-1.0), None), &[nan, inf, -1.0, 0.0, 0.0, 2.5, -1.0, 0.5]),
        one("HardSigmoid", unary_with("HardSigmoid", &[0.2, 0.5]), &[nan, 1.0, 0.0, 0.5, 0.5, 1.0, 0.0, 0.6]),
        flag("IsNaN", unary("IsNaN"), &[t, f, f, f, f, f, f, f]),
        flag("IsInf", unary_with("IsInf", &[1.0, 1.0]), &[f, t, t, f, f, f, f, f]),
        flag("IsInf_negative", unary_with("IsInf", &[1.0, 0.0]), &[f, f, t, f, f, f, f, f]),
        flag("IsInf_positive", unary_with("IsInf", &[0.0, 1.0]), &[f, t, f, f, f, f, f, f]),
        flag("Cast_bool", cast(DType::Bool), &[t, t, t, f, f, t, t, t]),
    ]
}

/// A function of two operands.
fn special(name: &str, function: &str, a: &[f32], b: &[f32], expected: &[f32]) -> Case {
    let case = Case::new(format!("elementwise/special_{name}"), op(binary(function)), vec![Tensor::vector(a), Tensor::vector(b)]);
    case.tolerance(CLOSE).golden(vec![Tensor::vector(expected)])
}

fn specials_of_two() -> Vec<Case> {
    let (nan, inf, t, f) = (f32::NAN, f32::INFINITY, true, false);
    let mut cases = vec![
        special("Max", "Max", &[nan, 1.0, inf, 2.0], &[1.0, nan, 0.0, 3.0], &[nan, nan, inf, 3.0]),
        special("Min", "Min", &[nan, 1.0, inf, 2.0], &[1.0, nan, 0.0, 3.0], &[nan, nan, 0.0, 2.0]),
        special(
            "Pow",
            "Pow",
            &[0.0, -2.0, -2.0, nan, 1.0, 0.0, -8.0, 2.0, inf, 0.5, -0.0, 10.0],
            &[0.0, 3.0, -2.0, 0.0, nan, -1.0, 0.333, -126.0, 2.0, inf, 3.0, 2.0],
            &[1.0, -8.0, 0.25, 1.0, 1.0, inf, nan, 1.175_494_4e-38, inf, 0.0, 0.0, 100.0],
        ),
    ];
    for (name, expected) in [("Equal", [f, f, f, t]), ("Less", [f, f, t, f]), ("GreaterOrEqual", [f, f, f, t])] {
        let (a, b) = (Tensor::vector(&[nan, 1.0, -inf, 2.0]), Tensor::vector(&[nan, nan, inf, 2.0]));
        let case = Case::new(format!("elementwise/special_{name}"), op(binary(name)), vec![a, b]);
        cases.push(case.tolerance(EXACT).golden(vec![Tensor::vector(&expected)]));
    }
    cases
}

/// Remainders and quotients.
fn specials_of_division() -> Vec<Case> {
    let mut cases = Vec::new();
    // The ONNX backend tests mod_mixed_sign_float32 and mod_mixed_sign_int32.
    let (a, b) = ([-4.3, 7.2, 5.0, 4.3, -7.2, 8.0], [2.1, -3.4, 8.0, -2.1, 3.4, 5.0]);
    cases.push(
        special("Fmod", "Fmod", &a, &b, &[-0.1, 0.4, 5.0, 0.1, -0.4, 3.0]).tolerance(Tolerance { relative: 1e-5, absolute: 2e-6 }),
    );
    // Quotients of more than 24 bits, divisors that no float is, and what is no normal number: by Python's math.fmod.
    let a = [5e9, 1e30, 3.4e38, -7.0, 1e20, 12_345_678.0, -1e10, 6e-39];
    let b = [3.0, 7.0, 1.5e-38, 0.1, std::f32::consts::TAU, 0.1, 3e-5, 1e-40];
    let bits: [u32; 8] = [0x4000_0000, 0x3f80_0000, 0x0098_fa10, 0xbdcc_ccbf, 0x4089_7be0, 0x3c83_5bf8, 0xb7cf_960e, 0x0000_0017];
    cases.push(special("Fmod_large", "Fmod", &a, &b, &bits.map(f32::from_bits)).tolerance(EXACT));
    for (name, seed) in [("Fmod", 0xF30D), ("Mod", 0x30D)] {
        let mut random = Random::new(seed);
        let mut any = |count: usize| {
            let bits: Vec<f32> = (0..count).map(|_| f32::from_bits(random.next() as u32)).filter(|x| !x.is_nan()).collect();
            Tensor::vector(&bits[..count - 96])
        };
        let case = Case::new(format!("elementwise/{name}_of_any_floats"), op(binary(name)), vec![any(4096), any(4096)]);
        // The sum that gives Mod its sign is rounded, and may be flushed.
        cases.push(case.tolerance(if name == "Fmod" { EXACT } else { CLOSE }));
    }
    let (a, b) = (Tensor::vector(&[-4i32, 7, 5, 4, -7, 8, 3]), Tensor::vector(&[2i32, -3, 8, -2, 3, 5, 0]));
    let pairs = [("Mod", [0i32, -2, 5, 0, 2, 3, 0]), ("Fmod", [0, 1, 5, 0, -1, 3, 0]), ("Div", [-2, -2, 0, -2, -2, 1, 0])];
    for (name, expected) in pairs {
        let case = Case::new(format!("elementwise/special_{name}_i32"), op(binary(name)), vec![a.clone(), b.clone()]);
        cases.push(case.tolerance(EXACT).golden(vec![Tensor::vector(&expected)]));
    }
    let low = Tensor::vector(&[i32::MIN, i32::MIN, 5]);
    let case = Case::new("elementwise/special_Div_overflow", op(binary("Div")), vec![low, Tensor::vector(&[-1i32, 1, -1])]);
    cases.push(case.tolerance(EXACT).golden(vec![Tensor::vector(&[i32::MIN, i32::MIN, -5])]));
    cases
}

/// Operands read through strided views instead of being copied first.
fn views() -> Vec<Case> {
    let seen = |name: &str, base: &[usize], view: View, other: &[usize]| {
        let base = Random::new(51).floats(base);
        let read = op(binary("Mul")).absorb(0, &view, &Fact::of(base.clone())).expect("elementwise operators read through views");
        Case::new(format!("elementwise/view_{name}"), read, vec![base, Random::new(52).floats(other)]).tolerance(CLOSE)
    };
    let whole = |dims: &[usize]| View::contiguous(&dims.into());
    vec![
        seen("transpose", &[6, 8], whole(&[6, 8]).transpose(&[1, 0]), &[8, 6]),
        seen("transpose_vectors", &[3, 5, 8], whole(&[3, 5, 8]).transpose(&[1, 0, 2]), &[5, 3, 8]),
        seen("transpose_rows_of_four", &[8, 4, 4], whole(&[8, 4, 4]).transpose(&[2, 1, 0]), &[4, 4, 8]),
        seen("transpose_odd", &[3, 5, 7], whole(&[3, 5, 7]).transpose(&[2, 0, 1]), &[7, 3, 5]),
        seen("slice_aligned", &[6, 16], whole(&[6, 16]).slice(1, 4, 8, 1), &[6, 8]),
        seen("slice_unaligned", &[6, 16], whole(&[6, 16]).slice(1, 3, 8, 1), &[6, 8]),
        seen("slice_steps", &[9, 16], whole(&[9, 16]).slice(0, 1, 4, 2).slice(1, 0, 8, 2), &[4, 8]),
        seen("reversed", &[4, 8], whole(&[4, 8]).slice(0, 3, 4, -1).slice(1, 7, 8, -1), &[8]),
        seen("expanded", &[1, 8], whole(&[1, 8]).broadcast(&[3, 8].into()).expect("it broadcasts"), &[2, 3, 8]),
        seen("grows", &[2, 8], whole(&[2, 8]).transpose(&[1, 0]), &[5, 1, 2]),
    ]
}

/// Programs of several instructions.
fn programs() -> Vec<Case> {
    let one = |program: Program| -> Arc<dyn Op> { Arc::new(Map { program }) };
    let (a, b, c) = (Random::new(61).floats(&[6, 8]), Random::new(62).floats(&[8]), Random::new(63).floats(&[6, 1]));
    let exact = |name: &str, op: Arc<dyn Op>, inputs: Vec<Tensor>| {
        Case::new(format!("elementwise/program_{name}"), op, inputs).tolerance(CLOSE)
    };
    let mut cases = vec![
        exact("clip_operands", op(clip_operands(true, true)), vec![a.clone(), Tensor::scalar(-0.5f32), Tensor::scalar(0.25f32)]),
        exact("clip_upper", op(clip_operands(false, true)), vec![a.clone(), Tensor::scalar(0.25f32)]),
    ];
    for name in ["Sum", "Mean", "Min", "Max"] {
        for count in [1, 3] {
            let inputs = [&a, &b, &c][..count].iter().map(|t| (*t).clone()).collect();
            cases.push(exact(&format!("{name}_{count}"), op(variadic(name, count)), inputs));
        }
    }
    // A chain of four over a bool mask and an i64 operand, all in one kernel.
    let instruction = |name: &str, arguments: &[Term], cast| Instruction {
        function: function(name).expect("the table has it"),
        arguments: arguments.to_vec(),
        cast,
    };
    let chain = Program {
        operands: vec![ProgramOperand::default(); 3],
        instructions: vec![
            instruction("Cast", &[Term::Operand(2)], Some(DType::F32)),
            instruction("Mul", &[Term::Operand(0), Term::Result(0)], None),
            instruction("Where", &[Term::Operand(1), Term::Result(1), Term::Literal(-1.0)], None),
            instruction("Sigmoid", &[Term::Result(2)], None),
        ],
    };
    let mask = Random::new(64).integers(DType::Bool, &[6, 1], 0, 2);
    cases.push(exact("mixed_dtypes", one(chain), vec![a.clone(), mask, Random::new(65).integers(DType::I64, &[8], -3, 4)]));
    cases
}

/// Outputs that are large enough to be read from textures: whole operands, rows, columns, scalars, more floats than there are
/// textures, other dtypes, constants, views, and sizes that end within a row of the texture or the workgroups.
fn copied() -> Vec<Case> {
    let floats = |seed: u64, shape: &[usize]| Random::new(seed).floats(shape);
    let case = |name: &str, op: Arc<dyn Op>, inputs: Vec<Tensor>| {
        Case::new(format!("elementwise/copied_{name}"), op, inputs).tolerance(CLOSE)
    };
    let rows: &[(&str, &[usize], &[usize])] = &[
        ("whole", &[65, 1028], &[65, 1028]),
        ("row", &[65, 1024], &[1024]),
        ("column", &[65, 1024], &[65, 1]),
        ("scalar", &[65, 1024], &[]),
        ("rows_of_batches", &[3, 22, 1024], &[3, 1, 1024]),
        ("outer", &[1, 1024], &[64, 1]),
    ];
    let mut cases: Vec<Case> = Vec::new();
    for (seed, (name, a, b)) in rows.iter().enumerate() {
        let seed = 70 + 2 * seed as u64;
        cases.push(case(name, op(binary("Sub")), vec![floats(seed, a), floats(seed + 1, b)]));
    }
    let five: Vec<Tensor> = (0..5).map(|k| floats(90 + k, &[64, 1024])).collect();
    cases.push(case("five", op(variadic("Sum", 5)), five));
    cases.push(case("constant", op(binary("Mul")), vec![floats(96, &[64, 1024]), floats(97, &[1024])]).weights(&[1]));
    let mask = Random::new(98).integers(DType::Bool, &[64, 1024], 0, 2);
    cases.push(case("mask", op(select()), vec![mask, floats(99, &[64, 1024]), floats(100, &[64, 1])]));
    let view = View::contiguous(&[8, 130, 64].into()).transpose(&[1, 0, 2]);
    let base = floats(103, &[8, 130, 64]);
    let seen = op(binary("Mul")).absorb(0, &view, &Fact::of(base.clone())).expect("elementwise operators read through views");
    cases.push(case("view", seen, vec![base, floats(104, &[64])]));
    let halves = [floats(101, &[64, 1024]), floats(102, &[64, 1024])].map(|t| to(DType::F16, &t));
    cases.push(case("halves", op(binary("Add")), halves.to_vec()).tolerance(EXACT));
    cases
}
