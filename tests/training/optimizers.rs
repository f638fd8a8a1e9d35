//! The optimizers that files name, and their arithmetic written out, to hold others against.

use gristmill::train::{self, Adam, RmsProp, Sgd};
use serde_json::Value as Json;

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Sgd,
    Adam,
    AdamW,
    RmsProp,
}

/// An optimizer with its numbers; what a file does not say is 0, which leaves it out.
#[derive(Clone, Debug, PartialEq)]
pub struct Optimizer {
    pub kind: Kind,
    pub learning_rate: f64,
    pub momentum: f64,
    pub nesterov: bool,
    pub weight_decay: f64,
    /// What is kept of the mean and of the mean square of gradients.
    pub betas: [f64; 2],
    pub epsilon: f64,
    /// What is kept of the mean square where there is no mean.
    pub alpha: f64,
    /// The most that the norm of all gradients together may be.
    pub clip_norm: Option<f64>,
}

impl Optimizer {
    /// As a file describes it.
    pub fn of(json: &Json) -> Self {
        let known = ["kind", "lr", "momentum", "nesterov", "weight_decay", "betas", "eps", "alpha", "clip_norm"];
        let unknown: Vec<&String> =
            json.as_object().expect("an optimizer").keys().filter(|key| !known.contains(&key.as_str())).collect();
        assert!(unknown.is_empty(), "an optimizer with {unknown:?}");
        let number = |name: &str| json[name].as_f64().unwrap_or_default();
        let kind = match json["kind"].as_str().expect("a kind of optimizer") {
            "sgd" => Kind::Sgd,
            "adam" => Kind::Adam,
            "adamw" => Kind::AdamW,
            "rmsprop" => Kind::RmsProp,
            other => panic!("an optimizer {other}"),
        };
        Optimizer {
            kind,
            learning_rate: number("lr"),
            momentum: number("momentum"),
            nesterov: json["nesterov"] == true,
            weight_decay: number("weight_decay"),
            betas: [0, 1].map(|k| json["betas"][k].as_f64().unwrap_or_default()),
            epsilon: number("eps"),
            alpha: number("alpha"),
            clip_norm: json["clip_norm"].as_f64(),
        }
    }

    /// The same as the library has it, but for clipping.
    pub fn offered(&self) -> train::Optimizer {
        let Optimizer { learning_rate, momentum, nesterov, weight_decay, epsilon, alpha, .. } = *self;
        match self.kind {
            Kind::Sgd => Sgd { learning_rate, momentum, nesterov, weight_decay, ..Sgd::default() }.into(),
            Kind::Adam | Kind::AdamW => {
                let (betas, decoupled) = (self.betas.into(), self.kind == Kind::AdamW);
                Adam { learning_rate, betas, epsilon, weight_decay, decoupled }.into()
            }
            Kind::RmsProp => RmsProp { learning_rate, alpha, epsilon, weight_decay, momentum, ..RmsProp::default() }.into(),
        }
    }
}

/// What an optimizer remembers, in double precision.
#[derive(Clone, Debug, Default)]
pub struct Arithmetic {
    steps: i32,
    /// Means and mean squares of the gradients of each parameter.
    means: Vec<Vec<f64>>,
    squares: Vec<Vec<f64>>,
}

impl Arithmetic {
    /// Changes parameters by their gradients.
    pub fn step(&mut self, optimizer: &Optimizer, parameters: &mut [Vec<f64>], gradients: &[Vec<f64>]) {
        if self.steps == 0 {
            self.means = parameters.iter().map(|p| vec![0.0; p.len()]).collect();
            self.squares = self.means.clone();
        }
        self.steps += 1;
        let norm = gradients.iter().flatten().map(|g| g * g).sum::<f64>().sqrt();
        let factor = optimizer.clip_norm.map_or(1.0, |most| (most / (norm + 1e-6)).min(1.0));
        for (k, (values, gradients)) in parameters.iter_mut().zip(gradients).enumerate() {
            for (i, (value, gradient)) in values.iter_mut().zip(gradients).enumerate() {
                let kept = [&mut self.means[k][i], &mut self.squares[k][i]];
                *value = stepped(optimizer, self.steps, *value, gradient * factor, kept);
            }
        }
    }
}

/// One number after step `t`, which is 1 at first.
fn stepped(optimizer: &Optimizer, t: i32, mut p: f64, mut g: f64, [m, v]: [&mut f64; 2]) -> f64 {
    let Optimizer { learning_rate, momentum, weight_decay, betas: [b1, b2], epsilon, alpha, .. } = *optimizer;
    match optimizer.kind {
        Kind::Sgd => {
            g += weight_decay * p;
            *m = if t == 1 { g } else { momentum * *m + g };
            p - learning_rate * if optimizer.nesterov { g + momentum * *m } else { *m }
        }
        Kind::Adam | Kind::AdamW => {
            match optimizer.kind {
                Kind::AdamW => p *= 1.0 - learning_rate * weight_decay,
                _ => g += weight_decay * p,
            }
            *m = b1 * *m + (1.0 - b1) * g;
            *v = b2 * *v + (1.0 - b2) * g * g;
            p - learning_rate * (*m / (1.0 - b1.powi(t))) / ((*v / (1.0 - b2.powi(t))).sqrt() + epsilon)
        }
        Kind::RmsProp => {
            g += weight_decay * p;
            *v = alpha * *v + (1.0 - alpha) * g * g;
            p - learning_rate * g / (v.sqrt() + epsilon)
        }
    }
}
