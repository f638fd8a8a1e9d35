//! An operator with an elementwise program fused into its kernels.

use super::elementwise::evaluate;
use crate::error::{Error, Result};
use crate::graph::{Epilogue, Fact, Io, Op, required};
use crate::kernel::{Caps, Lowering, Operand, Program};
use crate::tensor::{DType, Scalar, Shape, Tensor, View, broadcast};
use std::sync::Arc;

/// Where an operator's own inputs end for its kernels, however many of the optional ones are left out.
const PADDED: usize = 16;

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

    fn lower(&self, io: &Io, caps: &Caps) -> Result<Vec<Lowering>> {
        let (own, operands) = self.split(&io.inputs)?;
        let dtypes: Vec<DType> = operands.iter().map(|f| f.dtype()).collect();
        let numbers = self.program.numbers(&dtypes, io.outputs.first().map(|f| f.dtype()))?;
        // The base finds no input of the program where it looks for an optional one of its own.
        let first = self.arity.max(PADDED);
        let mut padded = own.to_vec();
        padded.resize(first, None);
        padded.extend(operands.into_iter().map(Some));
        let io = Io { inputs: padded, epilogue: Some(Epilogue { program: &self.program, first }), ..io.clone() };
        let mut lowerings = self.base.lower(&io, caps)?;
        for lowering in &mut lowerings {
            let Lowering::Dispatches { dispatches, .. } = lowering else {
                return Err(Error::internal(format!("{} has no kernel to fuse into", self.name())));
            };
            for dispatch in dispatches.iter_mut().filter(|d| d.bindings.contains(&Operand::Numbers)) {
                dispatch.numbers.clone_from(&numbers);
            }
            for binding in dispatches.iter_mut().flat_map(|d| &mut d.bindings) {
                if let Operand::Input(k) = binding
                    && *k >= first
                {
                    *k = *k - first + self.arity;
                }
            }
        }
        Ok(lowerings)
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
