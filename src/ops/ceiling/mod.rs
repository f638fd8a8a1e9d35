//! Ceilings, to measure what an adapter can do: a load of multiply-adds and nothing else, and a load of reads. No ONNX operators.

mod reads;
mod software;

use super::Registration;
use super::shared::{WORKGROUP, one_each};
use crate::error::{Error, Result};
use crate::graph::{Fact, Io, Op, required};
use crate::kernel::{Access, Kernel, Lowering, Offers, Operand, params, shader, u32s};
use crate::tensor::{Scalar, Tensor};
use std::sync::Arc;

params! {
    /// Parameters of `ceiling.wgsl`.
    struct CeilingParams {
        count: u32,
        factor: f32,
    }
}

shader!(static CEILING: CeilingParams = "ceiling");

/// The operators of this family.
pub static REGISTRATION: Registration =
    Registration { operators: &["Ceiling", reads::NAME], shaders: &[&CEILING, &reads::CEILING_READS] };

pub use reads::{ReadCeiling, read_ceiling};

/// What a chain is multiplied by in each step; it then goes towards twice what is added.
const FACTOR: f32 = 0.5;
/// Steps of a chain in each round.
const STEPS: usize = 8;
/// Chains per element.
const STARTS: [f64; 3] = [1.0, -1.0, 3.0];

/// For each element `x` the sum of three chains that start at `x`, `-x` and `3 x`, and in each of `8 * rounds` steps become
/// half of what they were, plus `x`.
#[derive(Clone, Debug, PartialEq)]
pub struct Ceiling {
    /// Rounds of eight steps.
    pub rounds: u32,
}

/// The operator with so many rounds; its input is f32, with a multiple of four elements.
pub fn ceiling(rounds: u32) -> Arc<dyn Op> {
    Arc::new(Ceiling { rounds })
}

impl Op for Ceiling {
    fn name(&self) -> &'static str {
        "Ceiling"
    }

    crate::attributes!(rounds);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let x = required("Ceiling", inputs, 0)?;
        if !x.dtype().is_float() || !x.ty.elements().is_multiple_of(4) {
            return Err(Error::invalid_model(format!("Ceiling expects floats, four at a time, found {}", x.ty)));
        }
        Ok(vec![Fact::new(x.dtype(), x.shape().clone())])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let x = required("Ceiling", inputs, 0)?;
        let chain = |x: f64, start: f64| (0..self.rounds as usize * STEPS).fold(x * start, |a, _| a * f64::from(FACTOR) + x);
        let values: Vec<f64> = x.to_f64().into_iter().map(|x| STARTS.iter().map(|start| chain(x, *start)).sum()).collect();
        Ok(vec![Tensor::from_f64(x.ty().clone(), &values)?])
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        let x = io.input(0)?;
        if x.scalar() != Some(Scalar::F32) {
            return Err(Error::unsupported(format!("Ceiling of {}", x.ty)));
        }
        let caps = offers.caps();
        offers.only("chains", || {
            let vectors = x.ty.elements() / 4;
            let [count] = u32s([vectors])?;
            let params = CeilingParams { count, factor: FACTOR };
            let kernel = Kernel::new(&CEILING, &[Access::Read, Access::Write], [WORKGROUP, 1, 1]).constant("ROUNDS", self.rounds);
            let flops = x.ty.elements() as u64 * u64::from(self.rounds) * (2 * STEPS * STARTS.len()) as u64;
            let dispatch = one_each(kernel, params, vectors, vec![Operand::Input(0), Operand::Output(0)], caps)?;
            Ok(Lowering::new(vec![dispatch.turns(self.rounds as usize).work(flops, 2 * x.gpu_bytes())]))
        });
        Ok(())
    }
}
