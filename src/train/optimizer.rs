//! Optimizers, with PyTorch's names, formulas and defaults (torch.optim, version 2).

use crate::error::{Error, Result};
use crate::ops::optimizer::{Rule, controls as at};

/// How gradients change parameters.
#[derive(Clone, Debug, PartialEq)]
pub enum Optimizer {
    /// Gradient descent.
    Sgd(Sgd),
    /// Adam and AdamW.
    Adam(Adam),
    /// RMSprop.
    RmsProp(RmsProp),
}

/// Gradient descent, with momentum and weight decay where they are not 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Sgd {
    /// What of the direction is taken from a parameter.
    pub learning_rate: f64,
    /// What of the directions of earlier steps stays.
    pub momentum: f64,
    /// What of a gradient is left out of the direction, but for the first.
    pub dampening: f64,
    /// Whether the direction looks ahead by the momentum.
    pub nesterov: bool,
    /// What of a parameter is added to its gradient.
    pub weight_decay: f64,
}

impl Default for Sgd {
    fn default() -> Self {
        Sgd { learning_rate: 1e-3, momentum: 0.0, dampening: 0.0, nesterov: false, weight_decay: 0.0 }
    }
}

/// Adam (Kingma and Ba 2015).
#[derive(Clone, Debug, PartialEq)]
pub struct Adam {
    /// What of the direction is taken from a parameter.
    pub learning_rate: f64,
    /// What stays of the means of gradients and of their squares.
    pub betas: (f64, f64),
    /// What is added to the root of squares.
    pub epsilon: f64,
    /// What of a parameter is added to its gradient; where `decoupled`, what of it is taken away, times the learning rate.
    pub weight_decay: f64,
    /// Whether weights decay beside the gradient (AdamW, Loshchilov and Hutter 2019).
    pub decoupled: bool,
}

impl Default for Adam {
    fn default() -> Self {
        Adam { learning_rate: 1e-3, betas: (0.9, 0.999), epsilon: 1e-8, weight_decay: 0.0, decoupled: false }
    }
}

impl Adam {
    /// AdamW with PyTorch's defaults.
    pub fn decoupled() -> Self {
        Adam { weight_decay: 1e-2, decoupled: true, ..Adam::default() }
    }
}

/// RMSprop (Tieleman and Hinton 2012).
#[derive(Clone, Debug, PartialEq)]
pub struct RmsProp {
    /// What of the direction is taken from a parameter.
    pub learning_rate: f64,
    /// What of the mean of squares stays.
    pub alpha: f64,
    /// What is added to the root of squares.
    pub epsilon: f64,
    /// What of a parameter is added to its gradient.
    pub weight_decay: f64,
    /// What of the directions of earlier steps stays.
    pub momentum: f64,
    /// Whether squares are taken about the mean.
    pub centered: bool,
}

impl Default for RmsProp {
    fn default() -> Self {
        RmsProp { learning_rate: 1e-2, alpha: 0.99, epsilon: 1e-8, weight_decay: 0.0, momentum: 0.0, centered: false }
    }
}

impl From<Sgd> for Optimizer {
    fn from(sgd: Sgd) -> Self {
        Optimizer::Sgd(sgd)
    }
}

impl From<Adam> for Optimizer {
    fn from(adam: Adam) -> Self {
        Optimizer::Adam(adam)
    }
}

impl From<RmsProp> for Optimizer {
    fn from(rms_prop: RmsProp) -> Self {
        Optimizer::RmsProp(rms_prop)
    }
}

impl Optimizer {
    /// What of the direction is taken from a parameter.
    pub fn learning_rate(&self) -> f64 {
        match self {
            Optimizer::Sgd(sgd) => sgd.learning_rate,
            Optimizer::Adam(adam) => adam.learning_rate,
            Optimizer::RmsProp(rms_prop) => rms_prop.learning_rate,
        }
    }

    /// This optimizer with another learning rate.
    pub fn with_learning_rate(mut self, rate: f64) -> Self {
        *match &mut self {
            Optimizer::Sgd(sgd) => &mut sgd.learning_rate,
            Optimizer::Adam(adam) => &mut adam.learning_rate,
            Optimizer::RmsProp(rms_prop) => &mut rms_prop.learning_rate,
        } = rate;
        self
    }

    /// What kernels do.
    pub(super) fn rule(&self) -> Rule {
        match self {
            Optimizer::Sgd(sgd) => Rule::Sgd { momentum: sgd.momentum != 0.0, nesterov: sgd.nesterov },
            Optimizer::Adam(_) => Rule::Adam,
            Optimizer::RmsProp(rms_prop) => Rule::RmsProp { momentum: rms_prop.momentum != 0.0, centered: rms_prop.centered },
        }
    }

    /// Checks all numbers.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) naming the number, its value and what is allowed.
    pub(super) fn check(&self) -> Result<()> {
        let at_least_zero = |name: &str, value: f64| match value.is_finite() && value >= 0.0 {
            true => Ok(()),
            false => Err(Error::invalid_argument(format!("{name} is {value}; expected a number of at least 0"))),
        };
        let below_one = |name: &str, value: f64| match (0.0..1.0).contains(&value) {
            true => Ok(()),
            false => Err(Error::invalid_argument(format!("{name} is {value}; expected at least 0 and less than 1"))),
        };
        at_least_zero("the learning rate", self.learning_rate())?;
        match self {
            Optimizer::Sgd(sgd) => {
                at_least_zero("momentum", sgd.momentum)?;
                at_least_zero("weight decay", sgd.weight_decay)?;
                if !sgd.dampening.is_finite() {
                    return Err(Error::invalid_argument(format!("dampening is {}; expected a number", sgd.dampening)));
                }
                if sgd.nesterov && (sgd.momentum == 0.0 || sgd.dampening != 0.0) {
                    return Err(Error::invalid_argument("Nesterov's momentum needs a momentum and no dampening"));
                }
                Ok(())
            }
            Optimizer::Adam(adam) => {
                below_one("the first beta", adam.betas.0)?;
                below_one("the second beta", adam.betas.1)?;
                at_least_zero("epsilon", adam.epsilon)?;
                at_least_zero("weight decay", adam.weight_decay)
            }
            Optimizer::RmsProp(rms_prop) => {
                at_least_zero("alpha", rms_prop.alpha)?;
                at_least_zero("epsilon", rms_prop.epsilon)?;
                at_least_zero("weight decay", rms_prop.weight_decay)?;
                at_least_zero("momentum", rms_prop.momentum)
            }
        }
    }

    /// The numbers of update `number`, counted from 1, in an update that is applied.
    pub(super) fn controls(&self, number: u64) -> [f64; at::COUNT] {
        let mut controls = [0.0; at::COUNT];
        let step = number as f64;
        controls[at::APPLY] = 1.0;
        controls[at::KEEP] = 1.0;
        controls[at::RATE] = self.learning_rate();
        match self {
            Optimizer::Sgd(sgd) => {
                controls[at::WEIGHT_DECAY] = sgd.weight_decay;
                controls[at::DECAY] = sgd.momentum;
                controls[at::FRESH] = if number <= 1 { 1.0 } else { 1.0 - sgd.dampening };
            }
            Optimizer::Adam(adam) => {
                let (first, second) = adam.betas;
                match adam.decoupled {
                    true => controls[at::KEEP] = 1.0 - adam.learning_rate * adam.weight_decay,
                    false => controls[at::WEIGHT_DECAY] = adam.weight_decay,
                }
                controls[at::RATE] /= 1.0 - first.powf(step);
                (controls[at::DECAY], controls[at::FRESH]) = (first, 1.0 - first);
                (controls[at::SECOND_DECAY], controls[at::SECOND_FRESH]) = (second, 1.0 - second);
                controls[at::EPSILON] = adam.epsilon;
                controls[at::ROOT_SCALE] = (1.0 - second.powf(step)).sqrt().recip();
            }
            Optimizer::RmsProp(rms_prop) => {
                controls[at::WEIGHT_DECAY] = rms_prop.weight_decay;
                (controls[at::DECAY], controls[at::FRESH]) = (rms_prop.alpha, 1.0 - rms_prop.alpha);
                controls[at::SECOND_DECAY] = rms_prop.momentum;
                controls[at::EPSILON] = rms_prop.epsilon;
            }
        }
        controls
    }
}
