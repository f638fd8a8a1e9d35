//! OptimizerUpdate: an arena of parameters, and what is remembered of them, changed by an arena of gradients.

use super::controls as at;
use super::rule::Rule;
use super::watch::{is_held_back, is_word};
use crate::error::{Error, Result};
use crate::graph::{Fact, Io, Op, required};
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, Offers, Operand, params, shader, u32s};
use crate::ops::copy;
use crate::ops::shared::{no_scalar, one_each};
use crate::tensor::{Scalar, Tensor, View};
use std::sync::Arc;

params! {
    /// Parameters of `optimizer_update.wgsl`.
    struct OptimizerUpdateParams {
        count: u32,
    }
}

shader!(pub(super) static OPTIMIZER_UPDATE: OptimizerUpdateParams = "optimizer_update");

pub(super) const NAME: &str = "OptimizerUpdate";

/// Floats that an invocation changes at a time.
const WIDTH: usize = 4;

/// One update of many parameters. Input 0, `[rows, n]`: the parameters, then what the rule remembers of each ([`Rule::rows`]); input 1, `[n]`: their
/// gradients; input 2: [`controls`](super::controls); input 3, a scalar that may be left out: the norm of all gradients, which
/// scales them down to the norm that is allowed; input 4, which may be left out: the word of [`FirstNonFinite`](super::FirstNonFinite). Output 0 is what
/// input 0 becomes: itself where the norm is infinite or no number, where the word tells a batch, or where the controls say so.
#[derive(Clone, Debug, PartialEq)]
pub struct OptimizerUpdate {
    /// The rule.
    pub rule: Rule,
}

/// An update by a rule.
pub fn optimizer_update(rule: Rule) -> Arc<dyn Op> {
    Arc::new(OptimizerUpdate { rule })
}

impl OptimizerUpdate {
    fn update(&self, io: &Io, arena: Operand, caps: &Caps) -> Result<Dispatch> {
        let whole = &io.input(0)?.ty;
        let columns = whole.shape[1] / WIDTH;
        let (number, momentum, nesterov, centered) = match self.rule {
            Rule::Sgd { momentum, nesterov } => (0u32, momentum, nesterov, false),
            Rule::Adam => (1, false, false, false),
            Rule::RmsProp { momentum, centered } => (2, momentum, false, centered),
        };
        let access = [Access::Read, Access::Read, Access::Read, Access::Read, Access::Write];
        let kernel = Kernel::new(&OPTIMIZER_UPDATE, &access, [64, 1, 1])
            .set("RULE", number)
            .set("MOMENTUM", momentum.into())
            .set("NESTEROV", nesterov.into())
            .set("CENTERED", centered.into())
            .set("CLIPPED", io.optional(3).is_some().into())
            .set("WATCHED", io.optional(4).is_some().into());
        let [count] = u32s([columns])?;
        let given = |k: usize| io.optional(k).map_or(Operand::Nothing, |_| Operand::Input(k));
        let bindings = vec![Operand::Input(1), Operand::Input(2), given(3), given(4), arena];
        let bytes = (2 * self.rule.rows() + 1) * whole.shape[1] * 4;
        Ok(one_each(kernel, OptimizerUpdateParams { count }, columns, bindings, caps)?.work(0, bytes as u64))
    }
}

impl Op for OptimizerUpdate {
    fn name(&self) -> &'static str {
        NAME
    }

    crate::attributes!(rule);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let (arena, gradient, controls) = (required(NAME, inputs, 0)?, required(NAME, inputs, 1)?, required(NAME, inputs, 2)?);
        let rows = self.rule.rows();
        let fits = matches!(arena.shape()[..], [r, n] if r == rows && n.is_multiple_of(WIDTH) && gradient.shape()[..] == [n]);
        let floats = [arena, gradient, controls].iter().all(|fact| fact.dtype().is_float());
        if !fits || !floats || controls.shape()[..] != [at::COUNT] {
            return Err(Error::invalid_model(format!(
                "{NAME} expects floats of {rows} rows of whole vectors of {WIDTH}, gradients of one row and {} controls, found {}, {} and {}",
                at::COUNT,
                arena.ty,
                gradient.ty,
                controls.ty
            )));
        }
        if let Some(norm) = inputs.get(3).copied().flatten()
            && norm.ty.elements() != 1
        {
            return Err(Error::invalid_model(format!("{NAME} expects one norm of all gradients, found {}", norm.ty)));
        }
        if let Some(word) = inputs.get(4).copied().flatten()
            && !is_word(word)
        {
            return Err(Error::invalid_model(format!(
                "{NAME} expects the word of the first batch to be one i32, found {}",
                word.ty
            )));
        }
        Ok(vec![Fact::new(arena.dtype(), arena.shape().clone())])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let (arena, gradient) = (required(NAME, inputs, 0)?, required(NAME, inputs, 1)?.to_f64());
        let controls = required(NAME, inputs, 2)?.to_f64();
        let norm = inputs.get(3).copied().flatten().and_then(|norm| norm.to_f64().first().copied());
        let is_held_back = is_held_back(inputs.get(4).copied().flatten());
        if controls[at::APPLY] == 0.0 || is_held_back || norm.is_some_and(|norm| !norm.is_finite()) {
            return Ok(vec![arena.clone()]);
        }
        let scale = norm.map_or(1.0, |norm| (controls[at::CLIP_NORM] / (norm + 1e-6)).min(1.0));
        let (mut values, columns) = (arena.to_f64(), gradient.len());
        let mut row = vec![0.0; self.rule.rows()];
        for (column, gradient) in gradient.iter().enumerate() {
            row.iter_mut().enumerate().for_each(|(k, value)| *value = values[k * columns + column]);
            self.rule.apply(&mut row, gradient * scale, &controls);
            row.iter().enumerate().for_each(|(k, value)| values[k * columns + column] = *value);
        }
        Ok(vec![Tensor::from_f64(arena.ty().clone(), &values)?])
    }

    fn updates(&self, _: &[Option<&Fact>]) -> Option<(usize, usize)> {
        Some((0, 0))
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        let given = (0..io.inputs.len().min(4)).filter_map(|k| io.optional(k));
        if let Some(fact) = given.into_iter().find(|fact| fact.scalar() != Some(Scalar::F32)) {
            return Err(no_scalar(fact));
        }
        let caps = offers.caps();
        offers.add("in_place", 0, || Ok(Lowering::new(vec![self.update(io, Operand::Updated, caps)?])));
        offers.add("copy", 1, || {
            let whole = View::contiguous(io.input(0)?.shape());
            let copied = copy::strided(&whole, &whole, [Operand::Input(0), Operand::Output(0)], caps)?;
            Ok(Lowering::new(vec![copied, self.update(io, Operand::Output(0), caps)?]))
        });
        Ok(())
    }
}
