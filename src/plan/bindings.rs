//! Whether a variant's bindings exist, and have a form on the GPU.

use super::memory::is_bindable;
use crate::error::{Error, Result};
use crate::graph::{Fact, Graph, Io, Node};
use crate::kernel::{Access, Caps, Dispatch, Lowering, Operand, Packing};
use crate::tensor::Scalar;

/// What a node's variants can bind.
pub(super) struct Bindings<'a> {
    /// All inputs of the node, those of its epilogue included.
    pub io: &'a Io<'a>,
    pub node: &'a Node,
    pub graph: &'a Graph,
    pub caps: &'a Caps,
}

impl Bindings<'_> {
    /// Checks one variant.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) when something it binds has no form on the GPU;
    /// [`Internal`](crate::ErrorKind::Internal) when it does not exist.
    pub(super) fn check(&self, lowering: &Lowering) -> Result<()> {
        let Lowering::Dispatches { dispatches, .. } = lowering else {
            return self.shared(lowering);
        };
        self.form(dispatches)?;
        for (k, fact) in self.io.outputs.iter().enumerate().filter(|(k, _)| self.io.used[*k]) {
            on_gpu(fact, || format!("output {k}"))?;
        }
        dispatches.iter().try_for_each(|dispatch| self.dispatch(lowering, dispatch))?;
        let Lowering::Dispatches { packed, .. } = lowering else { return Ok(()) };
        packed.iter().try_for_each(|packing| self.constant(packing))
    }

    /// A variant writes in place exactly where the node does.
    fn form(&self, dispatches: &[Dispatch]) -> Result<()> {
        let in_place = dispatches.iter().any(|dispatch| dispatch.bindings.contains(&Operand::Updated));
        match (in_place, self.io.in_place) {
            (true, false) => Err(Error::unsupported(
                "it writes over an input that must stay, or that it cannot be proven to be the last to read",
            )),
            (false, true) => Err(Error::unsupported("the node writes its output in place of an input")),
            (true, true) | (false, false) => Ok(()),
        }
    }

    /// Checks an output that lies where an input does.
    fn shared(&self, lowering: &Lowering) -> Result<()> {
        let (input, first) = match *lowering {
            Lowering::Alias { input } => (input, None),
            Lowering::Window { input, first } => (input, Some(first)),
            Lowering::Dispatches { .. } => return Ok(()),
        };
        self.form(&[])?;
        if self.own_inputs() < self.io.inputs.len() {
            return Err(Error::internal("an alias that leaves out its epilogue"));
        }
        let output = self.io.outputs.first().ok_or_else(|| Error::internal("an alias without an output"))?;
        let same = self.input(input)? == on_gpu(output, || "output 0".into())?;
        let (whole, part) = (self.io.input(input)?.ty.elements(), output.ty.elements());
        match first {
            None if same && whole == part => Ok(()),
            Some(first) if !is_bindable(first) => Err(Error::unsupported("it starts where no buffer can be bound")),
            Some(first) if same && first.checked_add(part).is_some_and(|end| end <= whole) => Ok(()),
            _ => Err(Error::internal("an alias of another element type or size")),
        }
    }

    fn updated_output(&self) -> Option<usize> {
        self.node.op.updates(&self.io.inputs).map(|(output, _)| output)
    }

    fn own_inputs(&self) -> usize {
        self.node.op.own_inputs(self.io.inputs.len())
    }

    fn input(&self, k: usize) -> Result<Scalar> {
        on_gpu(self.io.input(k)?, || format!("input {k}"))
    }

    fn dispatch(&self, lowering: &Lowering, dispatch: &Dispatch) -> Result<()> {
        let Lowering::Dispatches { temporaries, packed, tables, .. } = lowering else { return Ok(()) };
        for (operand, access) in dispatch.bindings.iter().zip(&dispatch.kernel.storage) {
            match *operand {
                Operand::Input(k) => self.bound(k, *access)?,
                Operand::Epilogue(k) => self.bound(self.own_inputs() + k, *access)?,
                Operand::Updated if *access == Access::Write => {}
                Operand::Output(k) if self.io.in_place && self.updated_output() == Some(k) => {
                    return Err(Error::internal(format!("output {k} is updated and bound")));
                }
                Operand::Output(k) => {
                    let fact = self.io.outputs.get(k).ok_or_else(|| Error::internal(format!("output {k} does not exist")))?;
                    on_gpu(fact, || format!("output {k}"))?;
                }
                Operand::Temporary(k) if k < temporaries.len() => {
                    if access.is_texture() && !self.caps.texture_holds(temporaries[k]) {
                        return self.too_large("scratch");
                    }
                }
                Operand::Packed(k) if k < packed.len() => {}
                Operand::Table(k) if k < tables.len() => {}
                Operand::Numbers if !dispatch.numbers.is_empty() => {}
                Operand::Nothing if !access.writes() => {}
                _ => return Err(Error::internal(format!("binding {operand:?} does not exist"))),
            }
        }
        Ok(())
    }

    /// Checks an input that a kernel binds by this access.
    fn bound(&self, input: usize, access: Access) -> Result<()> {
        let scalar = self.input(input)?;
        if !access.is_texture() {
            return Ok(());
        }
        if scalar != Scalar::F32 {
            return Err(Error::internal(format!("input {input} of {scalar:?} is bound as a texture")));
        }
        if !self.caps.texture_holds(self.io.input(input)?.gpu_bytes()) {
            return self.too_large(&format!("input {input}"));
        }
        Ok(())
    }

    fn too_large(&self, what: &str) -> Result<()> {
        let limit = self.caps.max_texture;
        Err(Error::unsupported(format!("{what} exceeds textures of {limit} texels along a side")))
    }

    fn constant(&self, packing: &Packing) -> Result<()> {
        let id = self.node.inputs.get(packing.input).copied().flatten();
        match id.and_then(|id| self.graph.constant(id)) {
            Some(_) => Ok(()),
            None => Err(Error::internal(format!("input {} is packed, but is no constant", packing.input))),
        }
    }
}

/// The elements of a value on the GPU.
fn on_gpu(fact: &Fact, what: impl FnOnce() -> String) -> Result<Scalar> {
    fact.scalar().ok_or_else(|| Error::unsupported(format!("{} is {fact:?}, which has no GPU form", what())))
}
