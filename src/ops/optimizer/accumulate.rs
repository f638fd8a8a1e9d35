//! Accumulate: gradients added to those of earlier runs.

use super::controls as at;
use super::watch::{is_held_back, is_word};
use crate::error::{Error, Result};
use crate::graph::{Fact, Io, Op, required};
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, Offers, Operand, params, shader, u32s};
use crate::ops::copy;
use crate::ops::shared::{no_scalar, one_each};
use crate::tensor::{Scalar, Tensor, View};
use std::sync::Arc;

params! {
    /// Parameters of `accumulate.wgsl`.
    struct AccumulateParams {
        count: u32,
    }
}

shader!(pub(super) static ACCUMULATE: AccumulateParams = "accumulate");

pub(super) const NAME: &str = "Accumulate";

/// Input 0, a sum, and input 1, what is added to it, of one shape: output 0 is the sum with a share of what is added, which input 2, the
/// [`controls`](super::controls), tells, or that share alone where it says that a new sum begins. Where input 3, the word of
/// [`FirstNonFinite`](super::FirstNonFinite), which may be left out, tells a batch, it is the sum as it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Accumulate;

/// A sum that goes on or begins anew.
pub fn accumulate() -> Arc<dyn Op> {
    Arc::new(Accumulate)
}

impl Accumulate {
    fn add(&self, io: &Io, sum: Operand, caps: &Caps) -> Result<Dispatch> {
        let count = io.input(0)?.ty.elements();
        let access = [Access::Read, Access::Read, Access::Read, Access::Write];
        let params = AccumulateParams { count: u32s([count])?[0] };
        let word = io.optional(3).map_or(Operand::Nothing, |_| Operand::Input(3));
        let bindings = vec![Operand::Input(1), Operand::Input(2), word, sum];
        let kernel = Kernel::new(&ACCUMULATE, &access, [64, 1, 1]).set("WATCHED", io.optional(3).is_some().into());
        let dispatch = one_each(kernel, params, count, bindings, caps)?;
        Ok(dispatch.work(count as u64, count as u64 * 12))
    }
}

impl Op for Accumulate {
    fn name(&self) -> &'static str {
        NAME
    }

    crate::attributes!();

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let (sum, added, controls) = (required(NAME, inputs, 0)?, required(NAME, inputs, 1)?, required(NAME, inputs, 2)?);
        let floats = sum.dtype().is_float() && controls.dtype().is_float();
        if sum.ty != added.ty || !floats || controls.shape()[..] != [at::COUNT] {
            return Err(Error::invalid_model(format!(
                "{NAME} expects floats of one type and {} controls, found {}, {} and {}",
                at::COUNT,
                sum.ty,
                added.ty,
                controls.ty
            )));
        }
        match inputs.get(3).copied().flatten() {
            Some(word) if !is_word(word) => {
                Err(Error::invalid_model(format!("{NAME} expects the word of the first batch to be one i32, found {}", word.ty)))
            }
            _ => Ok(vec![Fact::new(sum.dtype(), sum.shape().clone())]),
        }
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let (sum, added) = (required(NAME, inputs, 0)?, required(NAME, inputs, 1)?);
        let controls = required(NAME, inputs, 2)?.to_f64();
        if is_held_back(inputs.get(3).copied().flatten()) {
            return Ok(vec![sum.clone()]);
        }
        let (goes_on, share) = (controls[at::SUMMED] != 0.0, controls[at::SHARE]);
        let before = sum.to_f64().into_iter().map(|sum| if goes_on { sum } else { 0.0 });
        let both: Vec<f64> = before.zip(added.to_f64()).map(|(sum, added)| sum + share * added).collect();
        Ok(vec![Tensor::from_f64(sum.ty().clone(), &both)?])
    }

    fn updates(&self, _: &[Option<&Fact>]) -> Option<(usize, usize)> {
        Some((0, 0))
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        for k in 0..3 {
            let fact = io.input(k)?;
            if fact.scalar() != Some(Scalar::F32) {
                return Err(no_scalar(fact));
            }
        }
        let caps = offers.caps();
        offers.add("in_place", 0, || Ok(Lowering::new(vec![self.add(io, Operand::Updated, caps)?])));
        offers.add("copy", 1, || {
            let whole = View::contiguous(io.input(0)?.shape());
            let copied = copy::strided(&whole, &whole, [Operand::Input(0), Operand::Output(0)], caps)?;
            Ok(Lowering::new(vec![copied, self.add(io, Operand::Output(0), caps)?]))
        });
        Ok(())
    }
}
