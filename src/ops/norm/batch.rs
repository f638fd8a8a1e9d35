//! BatchNormalization: at inference a scale and a shift per channel.

use super::super::compose::Compose;
use super::super::reduce::Reduction;
use super::gradient::in_dtype;
use crate::error::{Error, Result};
use crate::graph::{Fact, Node, Op, ValueId, Writer, required};
use crate::tensor::{Tensor, TensorType};
use std::sync::Arc;

const NAME: &str = "BatchNormalization";

/// The ONNX operator BatchNormalization over inputs X, scale, B, mean and variance.
#[derive(Clone, Debug)]
pub struct BatchNormalization {
    /// Keeps the divisor from zero.
    pub epsilon: f32,
    /// How much of the old running statistics is kept (training only).
    pub momentum: f64,
    /// Mean and variance are taken from the batch, and outputs 1 and 2 are the running statistics.
    pub training_mode: bool,
    /// The running variance is that of the batch over one less than its values, as PyTorch has it, and a batch of one value per channel is
    /// refused (training only). ONNX has the variance of the batch itself.
    pub unbiased: bool,
}

impl Default for BatchNormalization {
    fn default() -> Self {
        BatchNormalization { epsilon: 1e-5, momentum: 0.9, training_mode: false, unbiased: false }
    }
}

/// BatchNormalization with given statistics.
pub fn batch_normalization(epsilon: f32) -> Arc<dyn Op> {
    Arc::new(BatchNormalization { epsilon, ..BatchNormalization::default() })
}

impl BatchNormalization {
    /// The operator in training form, with running statistics as PyTorch has them.
    pub(crate) fn over_batches(&self) -> Arc<dyn Op> {
        Arc::new(BatchNormalization { training_mode: true, unbiased: true, ..self.clone() })
    }

    /// What the variance of a batch of so many values per channel is multiplied by in the running one.
    fn correction(&self, count: usize, x: &TensorType) -> Result<f64> {
        match (self.unbiased, count) {
            (false, _) => Ok(1.0),
            (true, 0 | 1) => {
                Err(Error::invalid_input(format!("{NAME} learns from more than one value per channel, found an input of {x}")))
            }
            (true, _) => Ok(count as f64 / (count - 1) as f64),
        }
    }

    /// The training form: the output, the running mean and the running variance, in the dtype of the statistics until the end.
    fn over_batch(&self, writer: &mut Writer, [x, scale, bias, mean, variance]: [ValueId; 5]) -> Result<Vec<ValueId>> {
        let (ty, precise) = (writer.fact(x)?.ty.clone(), writer.fact(mean)?.dtype());
        let axes: Vec<usize> = (0..ty.shape.rank()).filter(|axis| *axis != 1).collect();
        let correction = self.correction(axes.iter().map(|axis| ty.shape[*axis]).product(), &ty)?;
        let mut shape = vec![1; ty.shape.rank()];
        if let Some(channels) = shape.get_mut(1) {
            *channels = ty.shape[1];
        }
        let x = in_dtype(writer, x, precise)?;
        let batch_mean = writer.reduced(Reduction::Mean, x, &axes)?;
        let centered = writer.function("Sub", &[x, batch_mean])?;
        let square = writer.function("Mul", &[centered, centered])?;
        let batch_variance = writer.reduced(Reduction::Mean, square, &axes)?;
        let deviation = writer.with_number("Add", batch_variance, self.epsilon.into())?;
        let deviation = writer.function("Sqrt", &[deviation])?;
        let parameter = |writer: &mut Writer, value| {
            let value = in_dtype(writer, value, precise)?;
            writer.reshape(value, &shape)
        };
        let (scale, bias) = (parameter(writer, scale)?, parameter(writer, bias)?);
        let factor = writer.function("Div", &[scale, deviation])?;
        let scaled = writer.function("Mul", &[centered, factor])?;
        let normal = writer.function("Add", &[scaled, bias])?;
        let mut outputs = vec![in_dtype(writer, normal, ty.dtype)?];
        for (old, new, correction) in [(mean, batch_mean, 1.0), (variance, batch_variance, correction)] {
            let own = writer.fact(old)?.ty.clone();
            let kept = in_dtype(writer, old, precise)?;
            let kept = writer.with_number("Mul", kept, self.momentum)?;
            let new = writer.reshape(new, own.shape.dims())?;
            let new = writer.with_number("Mul", new, (1.0 - self.momentum) * correction)?;
            outputs.push(writer.function("Add", &[kept, new])?);
        }
        Ok(outputs)
    }
}

impl Op for BatchNormalization {
    fn name(&self) -> &'static str {
        NAME
    }

    crate::attributes!(epsilon, momentum, training_mode, unbiased);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let x = required(NAME, inputs, 0)?;
        if !x.dtype().is_float() || x.shape().rank() == 0 {
            return Err(Error::invalid_model(format!("{NAME} takes floats of rank 1 or more, found {}", x.ty)));
        }
        let channels = x.shape().get(1).copied().unwrap_or(1);
        for k in 1..5 {
            let found = required(NAME, inputs, k)?;
            if found.shape().dims() != [channels] || !found.dtype().is_float() {
                return Err(Error::invalid_model(format!("{NAME} takes input {k} of shape [{channels}], found {}", found.ty)));
            }
        }
        let mut outputs = vec![Fact::new(x.dtype(), x.shape().clone())];
        if self.training_mode {
            let mean = required(NAME, inputs, 3)?.dtype();
            outputs.extend([Fact::new(mean, [channels]), Fact::new(mean, [channels])]);
        }
        Ok(outputs)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let x = required(NAME, inputs, 0)?;
        let parameter = |k: usize| required(NAME, inputs, k).map(Tensor::to_f64);
        let (scale, bias, mut mean, mut variance) = (parameter(1)?, parameter(2)?, parameter(3)?, parameter(4)?);
        let channels = mean.len();
        let inner = x.shape().product(2.min(x.shape().rank())..x.shape().rank());
        let channel = |k: usize| k / inner % channels;
        let data = x.to_f64();
        let mut running = vec![];
        if self.training_mode {
            let (old_mean, old_variance) = (mean, variance);
            let count = (data.len() / channels.max(1)) as f64;
            mean = vec![0.0; channels];
            data.iter().enumerate().for_each(|(k, v)| mean[channel(k)] += v / count);
            variance = vec![0.0; channels];
            data.iter().enumerate().for_each(|(k, v)| variance[channel(k)] += (v - mean[channel(k)]).powi(2) / count);
            let keep = self.momentum;
            let correction = self.correction(data.len() / channels.max(1), x.ty())?;
            for (k, old, new, correction) in [(3, old_mean, &mean, 1.0), (4, old_variance, &variance, correction)] {
                let mixed: Vec<f64> = old.iter().zip(new).map(|(o, n)| o * keep + n * (1.0 - keep) * correction).collect();
                running.push(Tensor::from_f64(required(NAME, inputs, k)?.ty().clone(), &mixed)?);
            }
        }
        let normal = |(k, v): (usize, &f64)| {
            let c = channel(k);
            (v - mean[c]) / (variance[c] + f64::from(self.epsilon)).sqrt() * scale[c] + bias[c]
        };
        let out: Vec<f64> = data.iter().enumerate().map(normal).collect();
        let mut outputs = vec![Tensor::from_f64(x.ty().clone(), &out)?];
        outputs.extend(running);
        Ok(outputs)
    }

    /// In training form what the definition says. At inference a product and a sum with numbers per channel, which fold to constants and move into a convolution before them.
    fn expand(&self, node: &Node, inputs: &[Option<&Fact>], writer: &mut Writer) -> Result<Option<Vec<ValueId>>> {
        let [Some(x), Some(scale), Some(bias), Some(mean), Some(variance)] = node.inputs[..] else { return Ok(None) };
        let (fact, parameter) = (required(NAME, inputs, 0)?, required(NAME, inputs, 1)?.dtype());
        let alike = (1..5).all(|k| inputs[k].is_some_and(|f| f.dtype() == fact.dtype()));
        if self.training_mode {
            return self.over_batch(writer, [x, scale, bias, mean, variance]).map(Some);
        }
        if !alike {
            return Ok(None);
        }
        let mut shape = vec![1; fact.shape().rank()];
        if let Some(channels) = shape.get_mut(1) {
            *channels = fact.shape()[1];
        }
        let epsilon = writer.number(parameter, self.epsilon.into())?;
        let variance = writer.function("Add", &[variance, epsilon])?;
        let deviation = writer.function("Sqrt", &[variance])?;
        let factor = writer.function("Div", &[scale, deviation])?;
        let shift = writer.function("Mul", &[mean, factor])?;
        let addend = writer.function("Sub", &[bias, shift])?;
        let (factor, addend) = (writer.reshape(factor, &shape)?, writer.reshape(addend, &shape)?);
        let scaled = writer.function("Mul", &[x, factor])?;
        Ok(Some(vec![writer.function("Add", &[scaled, addend])?]))
    }
}
