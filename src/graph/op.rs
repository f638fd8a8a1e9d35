//! Everything the engine knows of one operator.

use super::{Attribute, Fact, Flow, Key, Node, Part, ValueId, Writer};
use crate::error::{Error, Result};
use crate::kernel::{Access, Caps, Kernel, Offers, Operand, Program, preludes};
use crate::tensor::{Tensor, View};
use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

/// An operator with its attributes.
pub trait Op: Debug + Send + Sync + Any {
    /// The ONNX name, or the standard term where ONNX has none.
    fn name(&self) -> &'static str;

    /// Adds all attributes to what the operator is known by: two of equal [`Key`]s are one. The macro [`attributes!`](crate::attributes)
    /// writes this method from the names of the fields.
    fn attributes(&self, key: &mut Key);

    /// What is known of the outputs from what is known of the inputs (`None` for an optional input left out): shape and
    /// dtype rules, bounds of integers, and the value itself where types alone decide it (Shape, Size).
    /// Called with concrete shapes only.
    ///
    /// # Errors
    /// [`InvalidModel`](crate::ErrorKind::InvalidModel) with what was expected and found;
    /// [`NeedsValue`](crate::ErrorKind::NeedsValue) when a shape depends on an input whose value is not known.
    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>>;

    /// The meaning of the operator: naive loops on the CPU, sums in f64. It folds constants and is the host fallback.
    /// Called with inputs that `infer` accepted.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) when data is out of range (an index, for example).
    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>>;

    /// GPU work as data: offers the variants for these types on this adapter ([`Offers::caps`]). The first in the order of their
    /// ranks is taken, unless the tuner measured another to be faster.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) with the reason when there is no kernel for these types; the node
    /// then runs on the host.
    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        let _ = (io, offers);
        Err(Error::unsupported(format!("{} has no kernel", self.name())))
    }

    /// How many of a node's inputs are the operator's own; those that follow are the operands of its epilogue.
    fn own_inputs(&self, given: usize) -> usize {
        given
    }

    /// The operator that this one is with an elementwise program fused behind it; `None` for one that is whole by itself.
    fn base(&self) -> Option<&dyn Op> {
        None
    }

    /// Output `output` as a strided view of input 0, for operators that only move data (Transpose, Slice, Split, Reshape).
    fn view(&self, inputs: &[Option<&Fact>], output: usize) -> Option<View> {
        let _ = (inputs, output);
        None
    }

    /// Which output may be written over which input: the two have one type, and all of the input that is not written is what the output
    /// holds there. Such an operator offers two forms, see [`Io::in_place`].
    fn updates(&self, inputs: &[Option<&Fact>]) -> Option<(usize, usize)> {
        let _ = inputs;
        None
    }

    /// For an operator that puts its inputs side by side, the element of output 0 at which each of them starts: what makes an input may then make
    /// it in its place. Such an operator leaves alone what [`Io::joined`] says is there.
    fn joins(&self) -> Option<Vec<usize>> {
        None
    }

    /// This operator reading input `index` through `view` (of the new, underlying tensor `base`) instead of directly, so that the copy is
    /// saved; `None` when its kernels cannot. Afterwards `infer` and `reference` are called with the underlying tensor.
    fn absorb(&self, index: usize, view: &View, base: &Fact) -> Option<Arc<dyn Op>> {
        let _ = (index, view, base);
        None
    }

    /// Writes the simpler nodes that an operator stands for, once its input types are known, and gives the values that its outputs are,
    /// each made by one of these nodes. `None` for operators that have kernels of their own.
    ///
    /// # Errors
    /// [`InvalidModel`](crate::ErrorKind::InvalidModel) with what was expected and found.
    fn expand(&self, node: &Node, inputs: &[Option<&Fact>], writer: &mut Writer) -> Result<Option<Vec<ValueId>>> {
        let _ = (node, inputs, writer);
        Ok(None)
    }

    /// Writes the gradients of a node's inputs: how a number changes with each, given how it changes with each output (`None` where it does
    /// not). `wanted` says which inputs anybody asks about; the others may be left out.
    ///
    /// # Errors
    /// As [`Writer::write`].
    fn gradient(&self, node: &Node, upstream: &[Option<ValueId>], wanted: &[bool], writer: &mut Writer) -> Result<Gradient> {
        let _ = (node, upstream, wanted, writer);
        Ok(Gradient::Undefined("it has no rule"))
    }

    /// The operator as one on whole values, which is what it is then: it has neither types nor kernels of its own.
    fn flow(&self) -> Option<&dyn Flow> {
        None
    }

    /// What is wrong with a run in which output 0, a bool, is false: the run fails then, and leaves states as they were. `None` for operators
    /// that check nothing.
    fn check(&self) -> Option<String> {
        None
    }

    /// True when a node of constants is not folded, as the passes have to see it: they know a better form of it than its value, or write
    /// gradients through it. They fold what they leave; `expand` must leave it too.
    fn stays_constant(&self) -> bool {
        false
    }

    /// True when the kernels of this operator call `epilogue` on each f32 element of output 0, so that an elementwise
    /// program can be fused into them.
    fn takes_epilogue(&self) -> bool {
        false
    }
}

/// How a number changes with the inputs of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gradient {
    /// By these values, each of the shape of its input; `None` where it does not change.
    Inputs(Vec<Option<ValueId>>),
    /// With none of them, wherever it can be said.
    Zero,
    /// It cannot be said, for a reason.
    Undefined(&'static str),
}

/// Looking behind the trait object; only passes do, and what tells the problems of the tuner apart.
pub trait OpExt {
    /// The operator as a concrete type.
    fn downcast<T: Op>(&self) -> Option<&T>;
}

impl OpExt for dyn Op {
    fn downcast<T: Op>(&self) -> Option<&T> {
        (self as &dyn Any).downcast_ref()
    }
}

impl Key {
    /// What an operator is known by.
    pub fn of(op: &dyn Op) -> Self {
        let mut key = Key::default();
        key.put(Part::Name(op.name()));
        op.attributes(&mut key);
        key
    }
}

impl Attribute for Arc<dyn Op> {
    fn add_to(&self, key: &mut Key) {
        key.put(Part::Name(self.name()));
        self.attributes(key);
    }
}

/// An elementwise program fused into a kernel.
#[derive(Clone, Debug)]
pub struct Epilogue<'a> {
    /// What to compute from the carried value.
    pub program: &'a Program,
    /// What its operands are: what is known of each, and what kernels bind for it.
    pub operands: Vec<(&'a Fact, Operand)>,
}

/// The types of a node that is being lowered.
#[derive(Clone, Debug)]
pub struct Io<'a> {
    /// What is known of the operator's own inputs.
    pub inputs: Vec<Option<&'a Fact>>,
    /// What is known of all outputs that `infer` gave.
    pub outputs: Vec<&'a Fact>,
    /// Which outputs anybody reads. A kernel may write the others too: they are given scratch memory when bound.
    pub used: Vec<bool>,
    /// A program to call on each element of output 0.
    pub epilogue: Option<Epilogue<'a>>,
    /// Whether the output that [`Op::updates`] names stands where the input stood. Variants that bind [`Operand::Updated`] fit exactly
    /// then; those that write the output whole fit otherwise.
    pub in_place: bool,
    /// Which inputs lie within output 0 already, see [`Op::joins`]; none where it is empty.
    pub joined: Vec<bool>,
}

impl Io<'_> {
    /// The fact of an input that must be there.
    ///
    /// # Errors
    /// [`Internal`](crate::ErrorKind::Internal) when it is not.
    pub fn input(&self, index: usize) -> Result<&Fact> {
        self.inputs.get(index).copied().flatten().ok_or_else(|| Error::internal(format!("input {index} is missing")))
    }

    /// The fact of an optional input.
    pub fn optional(&self, index: usize) -> Option<&Fact> {
        self.inputs.get(index).copied().flatten()
    }

    /// Gives a kernel its `epilogue` function and the bindings that function reads.
    ///
    /// Call it last: `bindings` must already hold everything the body itself binds, in order. `width` is 1 or 4: how
    /// many neighbouring elements of output 0 the body hands to `epilogue(value: Float, index: u32)` at a time, `index`
    /// counting groups of that many. The matching width prelude is joined too. Without an epilogue the function is the
    /// identity.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) when an operand has no form on the GPU.
    pub fn attach_epilogue(&self, kernel: Kernel, bindings: &mut Vec<Operand>, width: u32, caps: &Caps) -> Result<Kernel> {
        let output = self.outputs.first().ok_or_else(|| Error::internal("an epilogue without an output"))?;
        let empty = Epilogue { program: &Program::default(), operands: vec![] };
        let Epilogue { program, operands } = self.epilogue.as_ref().unwrap_or(&empty);
        let types: Vec<_> = operands.iter().map(|(fact, _)| fact.ty.clone()).collect();
        let scalar = |fact: &Fact| fact.scalar().ok_or_else(|| Error::unsupported("an epilogue operand that lives on the host"));
        let scalars = operands.iter().map(|(fact, _)| scalar(fact)).collect::<Result<Vec<_>>>()?;
        let function = program.epilogue_wgsl(&types, &scalars, &output.ty, bindings.len() as u32 + 1, width)?;
        let mut kernel = kernel.width(width, caps).prelude(&preludes::MATH);
        for (_, operand) in operands {
            bindings.push(*operand);
            kernel.storage.push(Access::Read);
        }
        Ok(kernel.generate(function, bindings))
    }
}

/// An input that the operator cannot do without.
///
/// # Errors
/// [`InvalidModel`](crate::ErrorKind::InvalidModel) naming the operator and the index when it is left out.
pub fn required<'a, T: ?Sized>(op: &'static str, inputs: &[Option<&'a T>], index: usize) -> Result<&'a T> {
    inputs.get(index).copied().flatten().ok_or_else(|| Error::invalid_model(format!("{op} needs input {index}, which is missing")))
}
