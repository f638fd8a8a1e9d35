//! The activation functions that a recurrent layer may name.

use crate::error::{Error, Result};
use crate::graph::{ValueId, Writer};
use crate::ops::compose::Compose;
use crate::ops::elementwise::unary_with;

/// A function of ONNX's list for recurrent layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActivationFunction {
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `tanh(x)`.
    Tanh,
    /// `max(0, x)`.
    Relu,
    /// `alpha * x + beta`.
    Affine,
    /// `x` when at least 0, else `alpha * x`.
    LeakyRelu,
    /// `x` when at least `alpha`, else 0.
    ThresholdedRelu,
    /// `alpha * tanh(beta * x)`.
    ScaledTanh,
    /// `min(max(alpha * x + beta, 0), 1)`.
    HardSigmoid,
    /// `x` when at least 0, else `alpha * (exp(x) - 1)`.
    Elu,
    /// `x / (1 + |x|)`.
    Softsign,
    /// `log(1 + exp(x))`.
    Softplus,
}

crate::attributes!(
    enum ActivationFunction {
        Sigmoid,
        Tanh,
        Relu,
        Affine,
        LeakyRelu,
        ThresholdedRelu,
        ScaledTanh,
        HardSigmoid,
        Elu,
        Softsign,
        Softplus,
    }
);

use ActivationFunction::{
    Affine, Elu, HardSigmoid, LeakyRelu, Relu, ScaledTanh, Sigmoid, Softplus, Softsign, Tanh, ThresholdedRelu,
};

/// Name in lower case, and the defaults of alpha and beta where the function has them.
const TABLE: [(ActivationFunction, &str, Option<f32>, Option<f32>); 11] = [
    (Sigmoid, "sigmoid", None, None),
    (Tanh, "tanh", None, None),
    (Relu, "relu", None, None),
    (Affine, "affine", Some(1.0), Some(0.0)),
    (LeakyRelu, "leakyrelu", Some(0.01), None),
    (ThresholdedRelu, "thresholdedrelu", Some(1.0), None),
    (ScaledTanh, "scaledtanh", Some(1.0), Some(1.0)),
    (HardSigmoid, "hardsigmoid", Some(0.2), Some(0.5)),
    (Elu, "elu", Some(1.0), None),
    (Softsign, "softsign", None, None),
    (Softplus, "softplus", None, None),
];

/// A function with its constants.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Activation {
    /// Which function.
    pub function: ActivationFunction,
    /// Its first constant, where it has one.
    pub alpha: f32,
    /// Its second constant, where it has one.
    pub beta: f32,
}

crate::attributes!(struct Activation { function, alpha, beta });

impl From<ActivationFunction> for Activation {
    fn from(function: ActivationFunction) -> Self {
        let row = TABLE.iter().find(|row| row.0 == function);
        let (alpha, beta) = row.map_or((None, None), |row| (row.2, row.3));
        Activation { function, alpha: alpha.unwrap_or(0.0), beta: beta.unwrap_or(0.0) }
    }
}

/// The activations of a layer from ONNX's three attributes. `alpha` and `beta` are used up in order by the functions
/// that have such a constant.
///
/// # Errors
/// [`InvalidModel`](crate::ErrorKind::InvalidModel) for a name that is none of the functions.
pub fn activations(names: &[String], alpha: &[f32], beta: &[f32]) -> Result<Vec<Activation>> {
    let (mut alpha, mut beta) = (alpha.iter(), beta.iter());
    let one = |name: &String| {
        let lower = name.to_ascii_lowercase();
        let (function, _, a, b) = *TABLE.iter().find(|row| row.1 == lower).ok_or_else(|| {
            let known: Vec<&str> = TABLE.iter().map(|row| row.1).collect();
            Error::invalid_model(format!("`{name}` is no activation of a recurrent layer: expected one of {}", known.join(", ")))
        })?;
        let take = |default: Option<f32>, given: &mut std::slice::Iter<'_, f32>| {
            default.map_or(0.0, |default| given.next().copied().unwrap_or(default))
        };
        Ok(Activation { function, alpha: take(a, &mut alpha), beta: take(b, &mut beta) })
    };
    names.iter().map(one).collect()
}

impl Activation {
    /// Its value.
    pub(super) fn apply(self, x: f64) -> f64 {
        let (alpha, beta) = (f64::from(self.alpha), f64::from(self.beta));
        match self.function {
            Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Tanh => x.tanh(),
            Relu => x.max(0.0),
            Affine => alpha * x + beta,
            LeakyRelu => {
                if x >= 0.0 {
                    x
                } else {
                    alpha * x
                }
            }
            ThresholdedRelu => {
                if x >= alpha {
                    x
                } else {
                    0.0
                }
            }
            ScaledTanh => alpha * (beta * x).tanh(),
            HardSigmoid => (alpha * x + beta).clamp(0.0, 1.0),
            Elu => {
                if x >= 0.0 {
                    x
                } else {
                    alpha * x.exp_m1()
                }
            }
            Softsign => x / (1.0 + x.abs()),
            Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
        }
    }

    /// Its derivative; where the two sides differ, that of the lower.
    pub(super) fn derivative(self, x: f64) -> f64 {
        let (alpha, beta) = (f64::from(self.alpha), f64::from(self.beta));
        let step = |yes: bool, value: f64| if yes { value } else { 0.0 };
        match self.function {
            Sigmoid | Softplus => {
                let s = 1.0 / (1.0 + (-x).exp());
                if self.function == Sigmoid { s * (1.0 - s) } else { s }
            }
            Tanh => 1.0 - x.tanh().powi(2),
            Relu => step(x > 0.0, 1.0),
            Affine => alpha,
            LeakyRelu => {
                if x > 0.0 {
                    1.0
                } else {
                    alpha
                }
            }
            ThresholdedRelu => step(x > alpha, 1.0),
            ScaledTanh => alpha * beta * (1.0 - (beta * x).tanh().powi(2)),
            HardSigmoid => step(alpha * x + beta > 0.0 && alpha * x + beta < 1.0, alpha),
            Elu => {
                if x > 0.0 {
                    1.0
                } else {
                    alpha * x.exp()
                }
            }
            Softsign => (1.0 + x.abs()).powi(-2),
        }
    }

    /// Its values on all elements, as nodes.
    pub(super) fn compose(self, writer: &mut Writer, x: ValueId) -> Result<ValueId> {
        let (alpha, beta) = (f64::from(self.alpha), f64::from(self.beta));
        match self.function {
            Sigmoid => writer.function("Sigmoid", &[x]),
            Tanh => writer.function("Tanh", &[x]),
            Relu => writer.function("Relu", &[x]),
            Softsign => writer.function("Softsign", &[x]),
            Softplus => writer.function("Softplus", &[x]),
            Affine => {
                let scaled = writer.with_number("Mul", x, alpha)?;
                writer.with_number("Add", scaled, beta)
            }
            ScaledTanh => {
                let scaled = writer.with_number("Mul", x, beta)?;
                let tanh = writer.function("Tanh", &[scaled])?;
                writer.with_number("Mul", tanh, alpha)
            }
            LeakyRelu => writer.apply(unary_with("LeakyRelu", &[alpha])?, &[x]),
            ThresholdedRelu => writer.apply(unary_with("ThresholdedRelu", &[alpha])?, &[x]),
            Elu => writer.apply(unary_with("Elu", &[alpha])?, &[x]),
            HardSigmoid => writer.apply(unary_with("HardSigmoid", &[alpha, beta])?, &[x]),
        }
    }
}
