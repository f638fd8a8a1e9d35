//! The operator that applies a program to every element.

use super::{evaluate, gradient, software};
use crate::error::{Error, Result};
use crate::graph::{Fact, Gradient, Io, Node, Op, ValueId, Writer, required};
use crate::kernel::{Access, Caps, Kernel, Lowering, Offers, Operand, Program, params, preludes, shader, u32s};
use crate::ops::Registration;
use crate::ops::reshape::identity;
use crate::ops::shared::{WORKGROUP, one_each};
use crate::tensor::{DType, Scalar, Tensor, TensorType, View, broadcast};
use std::sync::Arc;

pub(crate) static REGISTRATION: Registration = Registration { operators: &["Map", "CastLike"], shaders: &[&SHADER] };

shader!(pub(super) static SHADER: ElementwiseParams = "elementwise");

params! {
    /// Parameters of `elementwise.wgsl`.
    struct ElementwiseParams {
        count: u32,
    }
}

/// A program applied to every element of its operands, which broadcast to one shape. Input `k` is operand `k`.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    /// What it computes.
    pub program: Program,
}

impl Op for Map {
    fn name(&self) -> &'static str {
        match self.program.instructions.as_slice() {
            [only] => only.function.name,
            _ => "Map",
        }
    }

    crate::attributes!(program);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let operands = &self.program.operands;
        if inputs.len() != operands.len() {
            return Err(Error::invalid_model(format!("{} takes {} inputs, found {}", self.name(), operands.len(), inputs.len())));
        }
        let facts = (0..inputs.len()).map(|k| required(self.name(), inputs, k)).collect::<Result<Vec<_>>>()?;
        let shape = broadcast(facts.iter().zip(operands).map(|(f, o)| o.view.as_ref().map_or(f.shape(), |v| &v.shape)))?;
        let dtypes: Vec<DType> = facts.iter().map(|f| f.dtype()).collect();
        let bounds: Vec<_> = facts.iter().map(|f| f.bounds()).collect();
        let dtype = self.program.dtypes(&dtypes, None)?.pop().ok_or_else(|| Error::internal("a program without instructions"))?;
        let bounds = self.program.bounds(&dtypes, &bounds, None)?.pop().flatten();
        Ok(vec![Fact::new(dtype, shape).bounded(bounds)])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let operands = (0..inputs.len()).map(|k| required(self.name(), inputs, k)).collect::<Result<Vec<_>>>()?;
        let views = operands.iter().zip(&self.program.operands);
        let shape = broadcast(views.map(|(t, o)| o.view.as_ref().map_or(t.shape(), |v| &v.shape)))?;
        Ok(vec![evaluate(&self.program, &operands, None, &shape)?])
    }

    fn expand(&self, node: &Node, inputs: &[Option<&Fact>], writer: &mut Writer) -> Result<Option<Vec<ValueId>>> {
        // A cast to what the data is already costs nothing.
        let ([only], Some(Some(fact)), Some(input)) = (self.program.instructions.as_slice(), inputs.first(), node.input(0)) else {
            return Ok(None);
        };
        let plain = only.function.name == "Cast" && self.program.operands.len() == 1 && self.program.operands[0].view.is_none();
        match plain && only.cast == Some(fact.dtype()) {
            true => Ok(Some(vec![writer.apply(identity(), &[input])?])),
            false => Ok(None),
        }
    }

    fn gradient(&self, node: &Node, upstream: &[Option<ValueId>], wanted: &[bool], writer: &mut Writer) -> Result<Gradient> {
        gradient::gradient(&self.program, node, upstream, wanted, writer)
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        let printing = Printing::new(&self.program, io, offers.caps())?;
        let lowering = |width: u32| {
            let access = vec![Access::Read; printing.facts.len()];
            printing.lowering(printing.kernel(width, &access), width, &access)
        };
        if !printing.output.ty.elements().is_multiple_of(4) {
            offers.only("width1", || lowering(1));
            return Ok(());
        }
        software::offer(&printing, offers);
        offers.add("width4", 1, || lowering(4));
        Ok(())
    }

    fn absorb(&self, index: usize, view: &View, _base: &Fact) -> Option<Arc<dyn Op>> {
        let mut map = self.clone();
        map.program.operands.get_mut(index)?.absorb(view)?;
        Some(Arc::new(map))
    }
}

/// What the kernels of one node are printed from.
pub(super) struct Printing<'a> {
    pub(super) program: &'a Program,
    pub(super) facts: Vec<&'a Fact>,
    pub(super) scalars: Vec<Scalar>,
    pub(super) output: &'a Fact,
    caps: &'a Caps,
}

impl<'a> Printing<'a> {
    fn new(program: &'a Program, io: &'a Io<'a>, caps: &'a Caps) -> Result<Self> {
        let output = *io.outputs.first().ok_or_else(|| Error::internal("an elementwise operator without an output"))?;
        let facts = (0..program.operands.len()).map(|k| io.input(k)).collect::<Result<Vec<_>>>()?;
        let dtypes: Vec<DType> = facts.iter().map(|f| f.dtype()).collect();
        let bounds: Vec<_> = facts.iter().map(|f| f.bounds()).collect();
        if let Some(k) = program.unproven(&dtypes, &bounds, None)? {
            let name = program.instructions[k].function.name;
            return Err(Error::unsupported(format!("a 64-bit result of {name} that is not proven to fit 32 bits")));
        }
        let scalar =
            |f: &&Fact| f.scalar().ok_or_else(|| Error::unsupported(format!("an operand of {} that lives on the host", f.ty)));
        let scalars = facts.iter().map(scalar).collect::<Result<Vec<_>>>()?;
        Ok(Printing { program, facts, scalars, output, caps })
    }

    /// The kernel that makes `width` elements per invocation, still without what is printed for it.
    pub(super) fn kernel(&self, width: u32, access: &[Access]) -> Kernel {
        let storage: Vec<Access> = [&[Access::Write], access].concat();
        Kernel::new(&SHADER, &storage, [WORKGROUP, 1, 1]).width(width, self.caps).prelude(&preludes::MATH)
    }

    /// A dispatch of the kernel with the program.
    pub(super) fn lowering(&self, kernel: Kernel, width: u32, access: &[Access]) -> Result<Lowering> {
        let types: Vec<TensorType> = self.facts.iter().map(|f| f.ty.clone()).collect();
        let function = self.program.element_wgsl(&types, &self.scalars, &self.output.ty, access, 2, width)?;
        let inputs = (0..access.len()).map(Operand::Input);
        let mut bindings = std::iter::once(Operand::Output(0)).chain(inputs).collect();
        let kernel = kernel.generate(function, &mut bindings);
        let elements = self.output.ty.elements();
        let groups = elements / width as usize;
        let [count] = u32s([groups])?;
        let bytes = self.facts.iter().map(|f| f.gpu_bytes()).sum::<u64>() + self.output.gpu_bytes();
        let work = elements as u64 * self.program.instructions.len() as u64;
        let dispatch = one_each(kernel, ElementwiseParams { count }, groups, bindings, self.caps)?;
        Ok(Lowering::new(vec![dispatch.work(work, bytes)]))
    }
}
