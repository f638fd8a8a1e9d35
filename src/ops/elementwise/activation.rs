//! Activations, with their parameters as further arguments in the order of ONNX's attributes.

use super::functions::{call, float, numbers, scalar};
use super::transcendental::erf;
use crate::kernel::{ScalarFunction, Signature};
use crate::tensor::Scalar;

pub(super) static FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction {
        name: "Relu",
        arity: (1, 1),
        signature: Signature::Same,
        accepts: numbers,
        float: Some(|a| if a[0] <= 0.0 { 0.0 } else { a[0] }),
        integer: Some(|a| a[0].max(0)),
        bounds: Some(|b| Some((b[0].0.max(0), b[0].1.max(0)))),
        wgsl: |a| {
            let x = &a.terms[0];
            Some(match scalar(a.dtypes[0]) {
                Scalar::F32 => format!("relu({x})"),
                Scalar::I32 => format!("max({x}, Int(0))"),
                Scalar::U32 => x.clone(),
            })
        },
    },
    float("LeakyRelu", 2, |a| if a[0] < 0.0 { a[1] * a[0] } else { a[0] }, call!("leaky_relu")),
    ScalarFunction {
        name: "PRelu",
        arity: (2, 2),
        signature: Signature::Same,
        accepts: numbers,
        float: Some(|a| if a[0] < 0.0 { a[1] * a[0] } else { a[0] }),
        integer: Some(|a| if a[0] < 0 { a[1].wrapping_mul(a[0]) } else { a[0] }),
        bounds: None,
        wgsl: |a| {
            let [x, slope] = a.terms else { return None };
            Some(match scalar(a.dtypes[0]) {
                Scalar::F32 => format!("leaky_relu({x}, {slope})"),
                Scalar::I32 => format!("select({x}, {slope} * {x}, {x} < Int(0))"),
                Scalar::U32 => x.clone(),
            })
        },
    },
    float("ThresholdedRelu", 2, |a| if a[0] <= a[1] { 0.0 } else { a[0] }, call!("thresholded_relu")),
    float("Elu", 2, |a| if a[0] < 0.0 { a[1] * a[0].exp_m1() } else { a[0] }, call!("elu")),
    float("Celu", 2, |a| if a[0] < 0.0 { a[1] * (a[0] / a[1]).exp_m1() } else { a[0] }, call!("celu")),
    float("Selu", 3, |a| a[2] * if a[0] < 0.0 { a[1] * a[0].exp_m1() } else { a[0] }, call!("selu")),
    float("Sigmoid", 1, |a| 1.0 / (1.0 + (-a[0]).exp()), call!("sigmoid")),
    float("HardSigmoid", 3, |a| (a[1] * a[0] + a[2]).clamp(0.0, 1.0), call!("hard_sigmoid")),
    float(
        "HardSwish",
        1,
        |a| a[0] * (a[0] / 6.0 + 0.5).clamp(0.0, 1.0),
        |a| Some(format!("{0} * hard_sigmoid({0}, Float(0.16666667), Float(0.5))", a.terms[0])),
    ),
    float("Gelu", 1, |a| 0.5 * a[0] * (1.0 + erf(a[0] * std::f64::consts::FRAC_1_SQRT_2)), call!("gelu")),
    // Gelu with approximate="tanh".
    float(
        "GeluTanh",
        1,
        |a| 0.5 * a[0] * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (a[0] + 0.044715 * a[0].powi(3))).tanh()),
        call!("gelu_tanh"),
    ),
    float("Swish", 2, |a| a[0] / (1.0 + (-a[1] * a[0]).exp()), call!("swish")),
    float("Mish", 1, |a| a[0] * softplus(a[0]).tanh(), call!("mish")),
    float("Softplus", 1, |a| softplus(a[0]), call!("softplus")),
    float("Softsign", 1, |a| a[0] / (1.0 + a[0].abs()), call!("softsign")),
    ScalarFunction {
        name: "Shrink",
        arity: (3, 3),
        signature: Signature::Same,
        accepts: numbers,
        float: Some(|a| {
            let [x, bias, lambda] = a else { return f64::NAN };
            if *x < -lambda {
                x + bias
            } else if x > lambda {
                x - bias
            } else {
                0.0
            }
        }),
        integer: None,
        bounds: None,
        wgsl: |a| a.dtypes[0].is_float().then(|| format!("shrink({})", a.terms.join(", "))),
    },
];

fn softplus(x: f64) -> f64 {
    // `max` would turn NaN into 0.
    if x > 0.0 { x + (-x).exp().ln_1p() } else { x.exp().ln_1p() }
}
