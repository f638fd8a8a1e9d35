//! What a backward pass computes anew instead of keeping it: Checkpoint says up to where, Held keeps what is computed anew apart from what was computed
//! before ("Training Deep Nets with Sublinear Memory Cost", Chen et al. 2016).

use super::Registration;
use crate::error::Result;
use crate::graph::{Fact, Gradient, Io, Node, Op, ValueId, Writer, required};
use crate::kernel::Offers;
use crate::tensor::Tensor;
use std::sync::Arc;

/// The operators of this file.
pub static REGISTRATION: Registration = Registration { operators: &[CHECKPOINT, HELD], shaders: &[] };

const CHECKPOINT: &str = "Checkpoint";
const HELD: &str = "Held";

/// Input 0 as it is. Gradients keep it, and compute anew what they need of what it was computed from.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint;

/// Input 0 as it is, for what is computed once input 1 is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Held;

/// A value that gradients keep.
pub fn checkpoint() -> Arc<dyn Op> {
    Arc::new(Checkpoint)
}

/// A value for what is computed once another is there.
pub fn held() -> Arc<dyn Op> {
    Arc::new(Held)
}

fn infer(name: &'static str, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
    let Fact { ty, bounds, .. } = required(name, inputs, 0)?;
    Ok(vec![Fact { ty: ty.clone(), value: None, bounds: *bounds }])
}

fn reference(name: &'static str, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
    Ok(vec![required(name, inputs, 0)?.clone()])
}

impl Op for Checkpoint {
    fn name(&self) -> &'static str {
        CHECKPOINT
    }

    crate::attributes!();

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        infer(CHECKPOINT, inputs)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        reference(CHECKPOINT, inputs)
    }

    fn lower(&self, _: &Io, offers: &mut Offers) -> Result<()> {
        offers.alias(0);
        Ok(())
    }

    fn gradient(&self, _: &Node, upstream: &[Option<ValueId>], _: &[bool], _: &mut Writer) -> Result<Gradient> {
        Ok(Gradient::Inputs(upstream.to_vec()))
    }
}

impl Op for Held {
    fn name(&self) -> &'static str {
        HELD
    }

    crate::attributes!();

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        infer(HELD, inputs)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        reference(HELD, inputs)
    }

    fn lower(&self, _: &Io, offers: &mut Offers) -> Result<()> {
        offers.alias(0);
        Ok(())
    }

    fn gradient(&self, _: &Node, upstream: &[Option<ValueId>], wanted: &[bool], _: &mut Writer) -> Result<Gradient> {
        let mut found = vec![None; wanted.len()];
        found.iter_mut().zip(upstream).for_each(|(found, upstream)| *found = *upstream);
        Ok(Gradient::Inputs(found))
    }
}
