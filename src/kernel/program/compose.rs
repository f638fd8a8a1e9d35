//! Building larger programs from smaller ones.

use super::{Instruction, Program, ProgramOperand, Term};
use crate::tensor::{DType, View};

impl Program {
    /// This program with operand `operand` computed by `producer` instead of read. The other operands keep their order;
    /// those of the producer, under the views given, follow them.
    pub fn inline(&self, operand: usize, producer: &Program, views: Vec<ProgramOperand>) -> Program {
        let mut operands = self.operands.clone();
        operands.remove(operand);
        let (kept, shift) = (operands.len(), producer.instructions.len());
        operands.extend(views);
        let from_producer = |term: Term| match term {
            Term::Operand(i) => Term::Operand(kept + i),
            other => other,
        };
        let own = |term: Term| match term {
            Term::Operand(i) if i == operand => Term::Result(shift - 1),
            Term::Operand(i) if i > operand => Term::Operand(i - 1),
            Term::Result(i) => Term::Result(shift + i),
            other => other,
        };
        let instructions = producer.instructions.iter().map(|i| i.renamed(from_producer));
        Program { operands, instructions: instructions.chain(self.instructions.iter().map(|i| i.renamed(own))).collect() }
    }

    /// This program with operand `operand` being what the surrounding kernel computed.
    pub fn carry(&self, operand: usize) -> Program {
        self.without(operand, Term::Carried)
    }

    /// This program, then `next` on its result. The operands of `next` follow its own.
    pub fn then(&self, next: &Program) -> Program {
        let (kept, shift) = (self.operands.len(), self.instructions.len());
        let rename = |term: Term| match term {
            Term::Carried if shift > 0 => Term::Result(shift - 1),
            Term::Operand(i) => Term::Operand(kept + i),
            Term::Result(i) => Term::Result(shift + i),
            other => other,
        };
        Program {
            operands: self.operands.iter().chain(&next.operands).cloned().collect(),
            instructions: self.instructions.iter().cloned().chain(next.instructions.iter().map(|i| i.renamed(rename))).collect(),
        }
    }

    /// This program with operand `drop` read as operand `keep`, for two that read one tensor through one view.
    pub fn merge(&self, keep: usize, drop: usize) -> Program {
        self.without(drop, Term::Operand(keep - usize::from(keep > drop)))
    }

    /// This program with a number in place of operand `operand`; `None` when the number would not have the operand's
    /// dtype there.
    pub fn bind(&self, operand: usize, value: f64, dtypes: &[DType], carried: Option<DType>) -> Option<Program> {
        let bound = self.without(operand, Term::Literal(value));
        let mut rest = dtypes.to_vec();
        rest.remove(operand);
        let (before, after) = (self.dtypes(dtypes, carried).ok()?, bound.dtypes(&rest, carried).ok()?);
        let same = self.instructions.iter().zip(&bound.instructions).all(|(old, new)| {
            let old = self.argument_dtypes(old, dtypes, carried, &before);
            let new = bound.argument_dtypes(new, &rest, carried, &after);
            old.ok().is_some_and(|old| new.is_ok_and(|new| old == new))
        });
        (before == after && same).then_some(bound)
    }

    fn without(&self, operand: usize, instead: Term) -> Program {
        let mut operands = self.operands.clone();
        operands.remove(operand);
        let rename = |term: Term| match term {
            Term::Operand(i) if i == operand => instead,
            Term::Operand(i) if i > operand => Term::Operand(i - 1),
            other => other,
        };
        Program { operands, instructions: self.instructions.iter().map(|i| i.renamed(rename)).collect() }
    }
}

impl Instruction {
    fn renamed(&self, rename: impl Fn(Term) -> Term) -> Instruction {
        Instruction { arguments: self.arguments.iter().map(|t| rename(*t)).collect(), ..self.clone() }
    }
}

impl ProgramOperand {
    /// Reads the tensor that `view` is of, instead of what `view` yields; `None` when strides cannot express it.
    pub fn absorb(&mut self, view: &View) -> Option<()> {
        self.view = Some(match &self.view {
            None => view.clone(),
            Some(own) => own.of(view)?,
        });
        Some(())
    }
}
