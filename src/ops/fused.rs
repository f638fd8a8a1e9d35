//! An operator with an elementwise program fused into its kernels.

use super::elementwise::evaluate;
use crate::error::{Error, Result};
use crate::graph::{Epilogue, Fact, Io, Op, required};
use crate::kernel::{Offers, Operand, Program};
use crate::tensor::{DType, Scalar, Shape, Tensor, View, broadcast};
use std::sync::Arc;

/// `base`, then `program` on its output 0. The inputs are the base's, then the program's operands.
#[derive(Clone, Debug)]
pub struct Fused {
    /// The operator whose kernels call the program.
    pub base: Arc<dyn Op>,
    /// What they call: it computes on from [`Term::Carried`](crate::kernel::Term::Carried).
    pub program: Program,
    /// How many inputs are the base's; operand `k` of the program is input `arity + k`.
    pub arity: usize,
}

impl Fused {
    /// The inputs of the base and those of the program, which must all be there.
    fn split<'a, 't, T>(&self, inputs: &'a [Option<&'t T>]) -> Result<(&'a [Option<&'t T>], Vec<&'t T>)> {
        let count = self.program.operands.len();
        let own = inputs.get(..self.arity).filter(|_| inputs.len() == self.arity + count);
        let own = own.ok_or_else(|| Error::internal(format!("{} inputs of a fused {}", inputs.len(), self.name())))?;
        Ok((own, (0..count).map(|k| required(self.name(), inputs, self.arity + k)).collect::<Result<_>>()?))
    }

    /// The program must keep the type of what the base computes, and needs 32-bit floats to do so.
    fn check(&self, carried: &Fact, operands: &[&Fact]) -> Result<()> {
        let shapes = operands.iter().zip(&self.program.operands).map(|(f, o)| o.view.as_ref().map_or(f.shape(), |v| &v.shape));
        let shape: Shape = broadcast(shapes.chain([carried.shape()]))?;
        let dtypes: Vec<DType> = operands.iter().map(|f| f.dtype()).collect();
        let result = self.program.dtypes(&dtypes, Some(carried.dtype()))?.pop();
        if carried.scalar() != Some(Scalar::F32) || result != Some(carried.dtype()) || shape != *carried.shape() {
            return Err(Error::unsupported(format!("a program after {} that does not keep its type {}", self.name(), carried.ty)));
        }
        let bounds: Vec<_> = operands.iter().map(|f| f.bounds()).collect();
        match self.program.unproven(&dtypes, &bounds, Some(carried.dtype()))? {
            None => Ok(()),
            Some(_) => Err(Error::unsupported("a 64-bit result within an epilogue that is not proven to fit 32 bits")),
        }
    }
}

impl Op for Fused {
    fn name(&self) -> &'static str {
        self.base.name()
    }

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let (own, operands) = self.split(inputs)?;
        let mut facts = self.base.infer(own)?;
        let carried = facts.first_mut().ok_or_else(|| Error::internal(format!("{} without outputs", self.name())))?;
        self.check(carried, &operands)?;
        carried.value = None;
        Ok(facts)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let (own, operands) = self.split(inputs)?;
        let mut results = self.base.reference(own)?;
        let carried = results.first_mut().ok_or_else(|| Error::internal(format!("{} without outputs", self.name())))?;
        *carried = evaluate(&self.program, &operands, Some(carried), carried.shape())?;
        Ok(results)
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        let (own, operands) = self.split(&io.inputs)?;
        let operands = operands.into_iter().enumerate().map(|(k, fact)| (fact, Operand::Epilogue(k))).collect();
        let epilogue = Some(Epilogue { program: &self.program, operands });
        self.base.lower(&Io { inputs: own.to_vec(), epilogue, ..io.clone() }, offers)
    }

    fn own_inputs(&self, _given: usize) -> usize {
        self.arity
    }

    fn absorb(&self, index: usize, view: &View, base: &Fact) -> Option<Arc<dyn Op>> {
        let mut fused = self.clone();
        if index < self.arity {
            fused.base = self.base.absorb(index, view, base)?;
        } else {
            fused.program.operands.get_mut(index - self.arity)?.absorb(view)?;
        }
        Some(Arc::new(fused))
    }
}
