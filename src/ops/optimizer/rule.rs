//! Rules of optimizers: how a gradient changes a parameter and what is remembered of earlier ones.

use super::controls as at;

/// A rule of update. The formulas are PyTorch's (torch.optim, version 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Gradient descent (Robbins and Monro 1951), with momentum (Polyak 1964) and Nesterov's (Sutskever et al. 2013).
    Sgd {
        /// Whether gradients are averaged over steps.
        momentum: bool,
        /// Whether the direction looks ahead by the momentum.
        nesterov: bool,
    },
    /// Adam (Kingma and Ba 2015), and AdamW (Loshchilov and Hutter 2019), which differ in their numbers only.
    Adam,
    /// RMSprop (Tieleman and Hinton 2012; centered: Graves 2013).
    RmsProp {
        /// Whether directions are averaged over steps.
        momentum: bool,
        /// Whether squares are taken about the mean.
        centered: bool,
    },
}

crate::attributes!(enum Rule { Sgd { momentum, nesterov }, Adam, RmsProp { momentum, centered } });

impl Rule {
    /// Rows of the arena: the parameters, then what is remembered of each.
    pub fn rows(self) -> usize {
        1 + self.remembered().len()
    }

    /// PyTorch's names of what is remembered of a parameter, in the order of the rows.
    pub fn remembered(self) -> &'static [&'static str] {
        match self {
            Rule::Sgd { momentum: false, .. } => &[],
            Rule::Sgd { .. } => &["momentum_buffer"],
            Rule::Adam => &["exp_avg", "exp_avg_sq"],
            Rule::RmsProp { momentum: false, centered: false } => &["square_avg"],
            Rule::RmsProp { momentum: true, centered: false } => &["square_avg", "momentum_buffer"],
            Rule::RmsProp { momentum: false, centered: true } => &["square_avg", "grad_avg"],
            Rule::RmsProp { momentum: true, centered: true } => &["square_avg", "grad_avg", "momentum_buffer"],
        }
    }

    /// The update of one parameter: `row[0]` is it, the rest what is remembered of it.
    pub(super) fn apply(self, row: &mut [f64], gradient: f64, controls: &[f64]) {
        let number = |place: usize| controls[place];
        let gradient = gradient + number(at::WEIGHT_DECAY) * row[0];
        let mut parameter = row[0] * number(at::KEEP);
        match self {
            Rule::Sgd { momentum: false, .. } => parameter -= number(at::RATE) * gradient,
            Rule::Sgd { nesterov, .. } => {
                row[1] = number(at::DECAY) * row[1] + number(at::FRESH) * gradient;
                let direction = if nesterov { gradient + number(at::DECAY) * row[1] } else { row[1] };
                parameter -= number(at::RATE) * direction;
            }
            Rule::Adam => {
                row[1] = number(at::DECAY) * row[1] + number(at::FRESH) * gradient;
                row[2] = number(at::SECOND_DECAY) * row[2] + number(at::SECOND_FRESH) * gradient * gradient;
                let root = row[2].sqrt() * number(at::ROOT_SCALE) + number(at::EPSILON);
                parameter -= number(at::RATE) * row[1] / root;
            }
            Rule::RmsProp { momentum, centered } => {
                row[1] = number(at::DECAY) * row[1] + number(at::FRESH) * gradient * gradient;
                let mut square = row[1];
                if centered {
                    row[2] = number(at::DECAY) * row[2] + number(at::FRESH) * gradient;
                    // A variance, but for rounding.
                    square = (square - row[2] * row[2]).max(0.0);
                }
                let mut direction = gradient / (square.sqrt() + number(at::EPSILON));
                if momentum {
                    let last = row.len() - 1;
                    row[last] = number(at::SECOND_DECAY) * row[last] + direction;
                    direction = row[last];
                }
                parameter -= number(at::RATE) * direction;
            }
        }
        row[0] = parameter;
    }
}
