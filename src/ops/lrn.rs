//! LRN: local response normalization across channels (Krizhevsky et al. 2012, section 3.3).

use super::Registration;
use super::movement::no_scalar;
use crate::error::{Error, Result};
use crate::graph::{Fact, Io, Op, required};
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, Operand, params, shader};
use crate::tensor::{Shape, Tensor};
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

const WORKGROUP: u32 = 64;

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

impl Op for Lrn {
    fn name(&self) -> &'static str {
        "LRN"
    }

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

    fn candidates(&self, io: &Io, caps: &Caps) -> Result<Vec<Lowering>> {
        let x = io.input(0)?;
        if x.scalar().is_none() {
            return Err(no_scalar(x));
        }
        if x.ty.elements() == 0 {
            return Ok(vec![Lowering::empty()]);
        }
        let (channels, inner) = Self::extents(x.shape())?;
        let (before, after) = self.reach();
        // No more neighbours than there are channels, so that the loop is as short as the data.
        let neighbours = self.size.min(channels);
        if neighbours >= caps.max_loop as usize {
            return Err(Error::unsupported(format!("{neighbours} neighbours exceed the longest loop of {}", caps.max_loop)));
        }
        let params = LrnParams {
            channels: channels as u32,
            inner: inner as u32,
            count: x.ty.elements() as u32,
            before: before.min(channels) as u32,
            after: after.min(channels) as u32,
            factor: self.alpha / self.size as f32,
            beta: self.beta,
            bias: self.bias,
        };
        let grid = Dispatch::linear_grid(u64::from(params.count).div_ceil(WORKGROUP.into()), caps)?;
        let mut bindings = vec![Operand::Input(0), Operand::Output(0)];
        let kernel = Kernel::new(&LRN, &[Access::Read, Access::Write], [WORKGROUP, 1, 1]);
        let kernel = io.attach_epilogue(kernel, &mut bindings, 1, caps)?;
        let flops = (x.ty.elements() * (2 * neighbours + 3)) as u64;
        let dispatch = Dispatch::new(kernel, params, bindings, grid).work(flops, 2 * x.gpu_bytes());
        Ok(vec![Lowering::dispatches("element_per_invocation", vec![dispatch])])
    }

    fn takes_epilogue(&self) -> bool {
        true
    }
}
