//! Normalizations. Layer, RMS, Instance and GroupNormalization are one operator: rows are normalised, then scaled and
//! shifted. BatchNormalization, LpNormalization and MeanVarianceNormalization are composed of others.

mod backward;
mod batch;
mod composed;
mod gradient;
mod lower;
mod software;

pub use backward::{NormGradient, norm_gradient};
pub use batch::{BatchNormalization, batch_normalization};
pub use composed::{LpNormalization, MeanVarianceNormalization, lp_normalization, mean_variance_normalization};

use super::Registration;
use super::compose::Compose;
use crate::error::{Error, Result};
use crate::graph::{Fact, Gradient, Io, Node, Op, ValueId, Writer, required};
use crate::kernel::Offers;
use crate::tensor::{DType, Shape, Tensor, TensorType, View};
use std::sync::Arc;

pub(super) static REGISTRATION: Registration = Registration {
    operators: &[
        "LayerNormalization",
        "RMSNormalization",
        "InstanceNormalization",
        "GroupNormalization",
        "BatchNormalization",
        "LpNormalization",
        "MeanVarianceNormalization",
    ],
    shaders: lower::SHADERS,
};

/// The operator of their gradients.
pub(super) static GRADIENT: Registration = Registration { operators: &[backward::NAME], shaders: backward::SHADERS };

/// Which elements are normalised together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// LayerNormalization: all axes from this one on.
    Layer {
        /// The first axis; negative counts from the end.
        axis: i64,
    },
    /// RMSNormalization: the same, without subtracting the mean.
    Rms {
        /// The first axis; negative counts from the end.
        axis: i64,
    },
    /// InstanceNormalization: the spatial axes of one channel.
    Instance,
    /// GroupNormalization: the channels of one group and their spatial axes. Scale and bias have one element per channel
    /// (opset 21) or per group (opset 18).
    Group {
        /// How many groups the channels fall into.
        groups: usize,
    },
}

crate::attributes!(enum Rows { Layer { axis }, Rms { axis }, Instance, Group { groups } });

/// `(x - mean) / sqrt(variance + epsilon) * scale + bias` over rows of input 0; scale is input 1, bias input 2.
#[derive(Clone, Debug)]
pub struct Normalization {
    /// What a row is.
    pub rows: Rows,
    /// Keeps the divisor from zero.
    pub epsilon: f32,
}

/// The ONNX operator LayerNormalization; outputs 1 and 2 are the mean and the inverse standard deviation.
pub fn layer_normalization(axis: i64, epsilon: f32) -> Arc<dyn Op> {
    Arc::new(Normalization { rows: Rows::Layer { axis }, epsilon })
}

/// The ONNX operator RMSNormalization.
pub fn rms_normalization(axis: i64, epsilon: f32) -> Arc<dyn Op> {
    Arc::new(Normalization { rows: Rows::Rms { axis }, epsilon })
}

/// The ONNX operator InstanceNormalization.
pub fn instance_normalization(epsilon: f32) -> Arc<dyn Op> {
    Arc::new(Normalization { rows: Rows::Instance, epsilon })
}

/// The ONNX operator GroupNormalization, of either opset.
pub fn group_normalization(groups: usize, epsilon: f32) -> Arc<dyn Op> {
    Arc::new(Normalization { rows: Rows::Group { groups }, epsilon })
}

/// Extents and parameter access of one normalization.
struct NormShape {
    rows: usize,
    columns: usize,
    /// Scale and bias as seen by an input of this shape.
    seen: Shape,
    /// Scale and bias under the shape that broadcasts to `seen`.
    parameter: Shape,
}

impl Normalization {
    fn geometry(&self, x: &Shape, scale: Option<&Shape>) -> Result<NormShape> {
        let name = self.name();
        match self.rows {
            Rows::Layer { axis } | Rows::Rms { axis } => {
                let axis = x.axis(axis)?;
                let parameter = scale.cloned().unwrap_or_default();
                let wide = View::contiguous(&parameter).broadcast(x);
                wide.ok_or_else(|| {
                    Error::invalid_model(format!("{name} takes a scale that broadcasts to {x}, found {parameter}"))
                })?;
                Ok(NormShape { rows: x.product(0..axis), columns: x.product(axis..x.rank()), seen: x.clone(), parameter })
            }
            Rows::Instance | Rows::Group { .. } => {
                if x.rank() < 2 {
                    return Err(Error::invalid_model(format!("{name} takes an input of rank 2 or more, found {x}")));
                }
                let (batch, channels, spatial) = (x[0], x[1], x.product(2..x.rank()));
                let groups = if let Rows::Group { groups } = self.rows { groups } else { channels };
                if groups == 0 && channels != 0 || groups != 0 && channels % groups != 0 {
                    return Err(Error::invalid_model(format!("{name} takes channels that {groups} groups divide, found {x}")));
                }
                let each = channels.checked_div(groups).unwrap_or(0);
                let found = scale.map_or(channels, Shape::elements);
                if scale.is_some_and(|s| s.rank() != 1) || (found != channels && found != groups) {
                    let found = scale.cloned().unwrap_or_default();
                    return Err(Error::invalid_model(format!("{name} takes a scale of shape [{channels}], found {found}")));
                }
                let parameter = if found == channels { Shape::from([1, groups, each, 1]) } else { Shape::from([1, groups, 1, 1]) };
                Ok(NormShape {
                    rows: batch * groups,
                    columns: each * spatial,
                    seen: [batch, groups, each, spatial].into(),
                    parameter,
                })
            }
        }
    }

    fn centered(&self) -> bool {
        !matches!(self.rows, Rows::Rms { .. })
    }

    /// The shape of the outputs Mean and InvStdDev.
    fn statistics(&self, x: &Shape) -> Result<Option<Shape>> {
        let Rows::Layer { axis } = self.rows else { return Ok(None) };
        let axis = x.axis(axis)?;
        Ok(Some(x.iter().enumerate().map(|(k, d)| if k < axis { *d } else { 1 }).collect::<Vec<_>>().into()))
    }
}

impl Op for Normalization {
    fn name(&self) -> &'static str {
        match self.rows {
            Rows::Layer { .. } => "LayerNormalization",
            Rows::Rms { .. } => "RMSNormalization",
            Rows::Instance => "InstanceNormalization",
            Rows::Group { .. } => "GroupNormalization",
        }
    }

    crate::attributes!(rows, epsilon);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let x = required(self.name(), inputs, 0)?;
        let scale = required(self.name(), inputs, 1)?;
        if !x.dtype().is_float() {
            return Err(Error::invalid_model(format!("{} takes floats, found {}", self.name(), x.dtype())));
        }
        let g = self.geometry(x.shape(), Some(scale.shape()))?;
        let by_row = matches!(self.rows, Rows::Layer { .. } | Rows::Rms { .. });
        if let Some(bias) = inputs.get(2).copied().flatten()
            && self.geometry(x.shape(), Some(bias.shape()))?.parameter != g.parameter
            && !by_row
        {
            let found = (scale.shape(), bias.shape());
            return Err(Error::invalid_model(format!(
                "{} takes scale and bias of one shape, found {} and {}",
                self.name(),
                found.0,
                found.1
            )));
        }
        let mut outputs = vec![Fact::new(x.dtype(), x.shape().clone())];
        if let Some(shape) = self.statistics(x.shape())? {
            outputs.extend([Fact::new(DType::F32, shape.clone()), Fact::new(DType::F32, shape)]);
        }
        Ok(outputs)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let x = required(self.name(), inputs, 0)?;
        let scale = required(self.name(), inputs, 1)?;
        let g = self.geometry(x.shape(), Some(scale.shape()))?;
        let spread = |t: &Tensor| -> Result<Vec<f64>> {
            let g = self.geometry(x.shape(), Some(t.shape()))?;
            let view = View::contiguous(&g.parameter).broadcast(&g.seen);
            Ok(t.gather(&view.ok_or_else(|| Error::internal("a parameter that does not broadcast"))?).to_f64())
        };
        let weight = spread(scale)?;
        let bias = inputs.get(2).copied().flatten().map(spread).transpose()?;
        let data = x.to_f64();
        let mut out = Vec::with_capacity(data.len());
        let (mut means, mut inverses) = (vec![], vec![]);
        for row in 0..g.rows {
            let values = &data[row * g.columns..][..g.columns];
            let n = g.columns as f64;
            let mean = if self.centered() { values.iter().sum::<f64>() / n } else { 0.0 };
            let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
            let inverse = 1.0 / (variance + f64::from(self.epsilon)).sqrt();
            for (k, v) in values.iter().enumerate() {
                let k = row * g.columns + k;
                out.push((v - mean) * inverse * weight[k] + bias.as_ref().map_or(0.0, |b| b[k]));
            }
            means.push(mean);
            inverses.push(inverse);
        }
        let mut outputs = vec![Tensor::from_f64(x.ty().clone(), &out)?];
        if let Some(shape) = self.statistics(x.shape())? {
            let ty = TensorType::new(DType::F32, shape);
            outputs.extend([Tensor::from_f64(ty.clone(), &means)?, Tensor::from_f64(ty, &inverses)?]);
        }
        Ok(outputs)
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        lower::lower(self, io, offers)
    }

    /// Kernels take a scale and a bias for each column of a row, or one for all; any other broadcast is a product and a sum
    /// after them.
    fn expand(&self, node: &Node, inputs: &[Option<&Fact>], writer: &mut Writer) -> Result<Option<Vec<ValueId>>> {
        let (Rows::Layer { axis } | Rows::Rms { axis }) = self.rows else { return Ok(None) };
        let (x, scale) = (required(self.name(), inputs, 0)?, required(self.name(), inputs, 1)?);
        let bias = inputs.get(2).copied().flatten();
        let served = |fact: &Fact| Ok::<_, Error>(self.affine(&self.geometry(x.shape(), Some(fact.shape()))?).is_ok());
        let alike = bias.is_none_or(|bias| bias.shape() == scale.shape());
        let one_dtype = scale.dtype() == x.dtype() && bias.is_none_or(|bias| bias.dtype() == x.dtype());
        if !one_dtype || alike && served(scale)? {
            return Ok(None);
        }
        let ones = TensorType::new(x.dtype(), x.shape()[x.shape().axis(axis)?..].to_vec());
        let ones = writer.tensor(Tensor::from_f64(ones.clone(), &vec![1.0; ones.elements()])?);
        let mut results = writer.apply_all(Arc::new(self.clone()), &[node.input(0), Some(ones)], node.outputs.len().max(1))?;
        results[0] = writer.function("Mul", &[results[0], node.needed(1)?])?;
        if let Some(addend) = node.input(2) {
            results[0] = writer.function("Add", &[results[0], addend])?;
        }
        Ok(Some(results))
    }

    fn gradient(&self, node: &Node, upstream: &[Option<ValueId>], wanted: &[bool], writer: &mut Writer) -> Result<Gradient> {
        self.gradients(node, upstream, wanted, writer)
    }

    fn takes_epilogue(&self) -> bool {
        true
    }
}
