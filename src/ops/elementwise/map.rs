//! The operator that applies a program to every element.

use super::evaluate;
use crate::error::{Error, Result};
use crate::graph::{Fact, Io, Op, required};
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, Operand, Program, params, preludes, shader};
use crate::ops::Registration;
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

/// Invocations of a workgroup.
const WORKGROUP: u32 = 64;

/// Storage textures that every adapter binds at a time (WebGPU specification, section 3.6.2).
const MOST_TEXTURES: usize = 4;

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

    fn candidates(&self, io: &Io, caps: &Caps) -> Result<Vec<Lowering>> {
        let output = *io.outputs.first().ok_or_else(|| Error::internal("an elementwise operator without an output"))?;
        if output.ty.elements() == 0 {
            return Ok(vec![Lowering::empty()]);
        }
        let count = self.program.operands.len();
        let facts = (0..count).map(|k| io.input(k)).collect::<Result<Vec<_>>>()?;
        let dtypes: Vec<DType> = facts.iter().map(|f| f.dtype()).collect();
        let bounds: Vec<_> = facts.iter().map(|f| f.bounds()).collect();
        if let Some(k) = self.program.unproven(&dtypes, &bounds, None)? {
            let name = self.program.instructions[k].function.name;
            return Err(Error::unsupported(format!("a 64-bit result of {name} that is not proven to fit 32 bits")));
        }
        let scalar =
            |f: &&Fact| f.scalar().ok_or_else(|| Error::unsupported(format!("an operand of {} that lives on the host", f.ty)));
        let scalars = facts.iter().map(scalar).collect::<Result<Vec<_>>>()?;
        if count + 1 > caps.max_storage_buffers as usize {
            let limit = caps.max_storage_buffers;
            return Err(Error::unsupported(format!(
                "{count} operands and an output exceed the adapter's limit of {limit} storage bindings"
            )));
        }
        let printing = Printing { program: &self.program, facts, scalars, output, caps };
        if !output.ty.elements().is_multiple_of(4) {
            return Ok(vec![printing.candidate("width1", 1, &vec![Access::Read; count])?]);
        }
        let mut candidates = vec![printing.candidate("width4", 4, &vec![Access::Read; count])?];
        let copied = printing.worth_copying()?;
        if copied.iter().any(|access| access.is_texture()) {
            candidates.insert(0, printing.candidate("width4_texels", 4, &copied)?);
        }
        Ok(candidates)
    }

    fn absorb(&self, index: usize, view: &View, _base: &Fact) -> Option<Arc<dyn Op>> {
        let mut map = self.clone();
        map.program.operands.get_mut(index)?.absorb(view)?;
        Some(Arc::new(map))
    }
}

/// What the kernels of one node are printed from.
struct Printing<'a> {
    program: &'a Program,
    facts: Vec<&'a Fact>,
    scalars: Vec<Scalar>,
    output: &'a Fact,
    caps: &'a Caps,
}

impl Printing<'_> {
    fn types(&self) -> Vec<TensorType> {
        self.facts.iter().map(|f| f.ty.clone()).collect()
    }

    /// How to bind the operands: as textures on a software adapter where they are read often enough to be worth a copy.
    fn worth_copying(&self) -> Result<Vec<Access>> {
        let elements = self.output.ty.elements();
        let mut left = MOST_TEXTURES;
        let mut accesses = Vec::new();
        for (k, fact) in self.facts.iter().enumerate() {
            let suits = left > 0 && self.scalars[k] == Scalar::F32 && self.caps.copying_pays(elements, fact.ty.elements());
            let copied = suits && self.program.reads_fours(k, &fact.ty, &self.output.ty)?;
            left -= usize::from(copied);
            accesses.push(if copied { Access::ReadTexture } else { Access::Read });
        }
        Ok(accesses)
    }

    /// A kernel that makes `width` elements per invocation.
    fn candidate(&self, variant: &'static str, width: u32, access: &[Access]) -> Result<Lowering> {
        let storage: Vec<Access> = [&[Access::Write], access].concat();
        let mut kernel = Kernel::new(&SHADER, &storage, [WORKGROUP, 1, 1]).width(width, self.caps).prelude(&preludes::MATH);
        if access.iter().any(|access| access.is_texture()) {
            kernel = kernel.texels();
        }
        let function = self.program.element_wgsl(&self.types(), &self.scalars, &self.output.ty, access, 2, width)?;
        let inputs = (0..access.len()).map(Operand::Input);
        let mut bindings = std::iter::once(Operand::Output(0)).chain(inputs).collect();
        let kernel = kernel.generate(function, &mut bindings);
        let elements = self.output.ty.elements() as u64;
        let groups = elements / u64::from(width);
        let grid = Dispatch::linear_grid(groups.div_ceil(u64::from(WORKGROUP)), self.caps)?;
        let bytes = self.facts.iter().map(|f| f.gpu_bytes()).sum::<u64>() + self.output.gpu_bytes();
        let work = elements * self.program.instructions.len() as u64;
        let params = ElementwiseParams { count: groups as u32 };
        Ok(Lowering::dispatches(variant, vec![Dispatch::new(kernel, params, bindings, grid).work(work, bytes)]))
    }
}
