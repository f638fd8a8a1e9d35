//! LRN: local response normalization across channels (Krizhevsky et al. 2012, section 3.3).

use super::Registration;
use super::compose::Compose;
use super::matmul::matmul;
use super::shared::no_scalar;
use crate::error::{Error, Result};
use crate::graph::{Fact, Gradient, Io, Node, Op, ValueId, Writer, required};
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, Offers, Operand, params, shader, u32s};
use crate::tensor::{Shape, Tensor, TensorType};
use std::sync::Arc;

params! {
    /// Parameters of `lrn.wgsl`.
    struct LrnParams {
        channels: u32,
        inner: u32,
        count: u32,
        before: u32,
        after: u32,
        factor: f32,
        beta: f32,
        bias: f32,
    }
}

shader!(static LRN: LrnParams = "lrn");

/// The operator of this file.
pub static REGISTRATION: Registration = Registration { operators: &["LRN"], shaders: &[&LRN] };

const WORKGROUP: usize = 64;

/// ONNX LRN: `x / (bias + alpha / size * sum of squares of size neighbouring channels) ^ beta`.
#[derive(Clone, Debug, PartialEq)]
pub struct Lrn {
    /// Factor of the mean square.
    pub alpha: f32,
    /// Exponent of the divisor.
    pub beta: f32,
    /// What is added to the mean square.
    pub bias: f32,
    /// How many channels are neighbours, the channel itself in their middle.
    pub size: usize,
}

/// Local response normalization over axis 1.
///
/// # Errors
/// [`InvalidModel`](crate::ErrorKind::InvalidModel) when `size` is 0.
pub fn lrn(alpha: f32, beta: f32, bias: f32, size: usize) -> Result<Arc<dyn Op>> {
    if size == 0 {
        return Err(Error::invalid_model("LRN expects a size of at least 1, found 0"));
    }
    Ok(Arc::new(Lrn { alpha, beta, bias, size }))
}

impl Lrn {
    /// Neighbours before and after a channel; with an even size one more stands after it (ONNX, LRN: floor and ceil).
    fn reach(&self) -> (usize, usize) {
        ((self.size - 1) / 2, self.size / 2)
    }

    /// Channels and the elements of one channel.
    fn extents(shape: &Shape) -> Result<(usize, usize)> {
        match shape.dims() {
            [_, channels, ..] => Ok((*channels, shape.product(2..shape.rank()))),
            _ => Err(Error::invalid_model(format!("LRN expects an input of rank 2 at least, found {shape}"))),
        }
    }
}

impl Lrn {
    /// What an output is worth changes with its own numerator, and with the divisors of all that the element is a neighbour of.
    fn gradient_of(&self, x: ValueId, worth: ValueId, writer: &mut Writer) -> Result<ValueId> {
        let fact = writer.fact(x)?;
        let (dtype, shape) = (fact.dtype(), fact.shape().clone());
        let (channels, inner) = Self::extents(&shape)?;
        let (before, after) = self.reach();
        let near = |own: usize, other: usize| (own.saturating_sub(before)..=own.saturating_add(after)).contains(&other);
        let pairs = || (0..channels).flat_map(|k| (0..channels).map(move |n| (k, n)));
        let ty = TensorType::new(dtype, [channels, channels]);
        let neighbours: Vec<f64> = pairs().map(|(own, other)| f64::from(near(own, other))).collect();
        let neighbours = writer.tensor(Tensor::from_f64(ty.clone(), &neighbours)?);
        let owners: Vec<f64> = pairs().map(|(own, other)| f64::from(near(other, own))).collect();
        let owners = writer.tensor(Tensor::from_f64(ty, &owners)?);
        let planes = [shape[0], channels, inner];
        let (x, worth) = (writer.reshape(x, &planes)?, writer.reshape(worth, &planes)?);
        let factor = f64::from(self.alpha) / self.size as f64;
        let squares = writer.function("Mul", &[x, x])?;
        let squares = writer.apply(matmul(), &[neighbours, squares])?;
        let squares = writer.with_number("Mul", squares, factor)?;
        let divisor = writer.with_number("Add", squares, self.bias.into())?;
        let scale = writer.with_number("Pow", divisor, -f64::from(self.beta))?;
        let own = writer.function("Mul", &[worth, scale])?;
        let shares = writer.function("Mul", &[own, x])?;
        let shares = writer.function("Div", &[shares, divisor])?;
        let shares = writer.apply(matmul(), &[owners, shares])?;
        let shares = writer.function("Mul", &[shares, x])?;
        let shares = writer.with_number("Mul", shares, 2.0 * factor * f64::from(self.beta))?;
        let found = writer.function("Sub", &[own, shares])?;
        writer.reshape(found, shape.dims())
    }

    fn element_per_invocation(&self, io: &Io, x: &Fact, caps: &Caps) -> Result<Lowering> {
        let count = x.ty.elements();
        let (channels, inner) = Self::extents(x.shape())?;
        let (before, after) = self.reach();
        // No more neighbours than there are channels, so that the loop is as short as the data.
        let neighbours = self.size.min(channels);
        let [before, after] = u32s([before.min(channels), after.min(channels)])?;
        let factor = self.alpha / self.size as f32;
        let grid = Dispatch::linear_grid(count.div_ceil(WORKGROUP) as u64, caps)?;
        let [channels, inner, elements, workgroup] = u32s([channels, inner, count, WORKGROUP])?;
        let params = LrnParams { channels, inner, count: elements, before, after, factor, beta: self.beta, bias: self.bias };
        let mut bindings = vec![Operand::Input(0), Operand::Output(0)];
        let kernel = Kernel::new(&LRN, &[Access::Read, Access::Write], [workgroup, 1, 1]);
        let kernel = io.attach_epilogue(kernel, &mut bindings, 1, caps)?;
        let flops = (count * (2 * neighbours + 3)) as u64;
        let dispatch = Dispatch::new(kernel, params, bindings, grid).turns(neighbours + 1).work(flops, 2 * x.gpu_bytes());
        Ok(Lowering::new(vec![dispatch]))
    }
}

impl Op for Lrn {
    fn name(&self) -> &'static str {
        "LRN"
    }

    crate::attributes!(alpha, beta, bias, size);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let x = required("LRN", inputs, 0)?;
        Self::extents(x.shape())?;
        if !x.dtype().is_float() {
            return Err(Error::invalid_model(format!("LRN expects floats, found {}", x.ty)));
        }
        Ok(vec![Fact::new(x.dtype(), x.shape().clone())])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let x = required("LRN", inputs, 0)?;
        let (channels, inner) = Self::extents(x.shape())?;
        let (before, after) = self.reach();
        let data = x.to_f64();
        let at = |i: usize| {
            let channel = i / inner % channels;
            let neighbours = channel.saturating_sub(before)..channels.min(channel + after + 1);
            let square: f64 = neighbours.map(|c| data[i + c * inner - channel * inner].powi(2)).sum();
            data[i] / (f64::from(self.bias) + f64::from(self.alpha) / self.size as f64 * square).powf(f64::from(self.beta))
        };
        Ok(vec![Tensor::from_f64(x.ty().clone(), &(0..data.len()).map(at).collect::<Vec<_>>())?])
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        let x = io.input(0)?;
        if x.scalar().is_none() {
            return Err(no_scalar(x));
        }
        let caps = offers.caps();
        offers.only("element_per_invocation", || self.element_per_invocation(io, x, caps));
        Ok(())
    }

    fn gradient(&self, node: &Node, upstream: &[Option<ValueId>], _: &[bool], writer: &mut Writer) -> Result<Gradient> {
        let Some(worth) = upstream.first().copied().flatten() else { return Ok(Gradient::Zero) };
        if writer.fact(worth)?.ty.elements() == 0 {
            return Ok(Gradient::Zero);
        }
        Ok(Gradient::Inputs(vec![Some(self.gradient_of(node.needed(0)?, worth, writer)?)]))
    }

    fn takes_epilogue(&self) -> bool {
        true
    }
}
