//! Operators that say which tensors a value is made of, and compute nothing: most of those on sequences and optionals.

use crate::error::{Error, Result};
use crate::graph::{Flow, Flowing, Node, Op, Structure, ValueId, Writer};
use crate::ops::Registration;
use crate::tensor::{DType, Tensor, TensorType};
use std::sync::Arc;

/// The operators of this file.
pub static REGISTRATION: Registration = Registration {
    operators: &[
        "SequenceConstruct",
        "SequenceEmpty",
        "SequenceInsert",
        "SequenceErase",
        "SequenceAt",
        "SequenceLength",
        "Optional",
        "OptionalHasElement",
        "OptionalGetElement",
    ],
    shaders: &[],
};

/// An operator whose output is made of tensors that it is given. Where a graph is specialised it is other names of values; where it is a
/// stage of a run, its tensors stay where they lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrangement {
    /// ONNX Identity of any value.
    Identity,
    /// ONNX SequenceConstruct: the sequence of all inputs.
    SequenceConstruct,
    /// ONNX SequenceEmpty: a sequence of no tensor, which takes tensors of any dtype.
    SequenceEmpty,
    /// ONNX SequenceInsert: sequence 0 with tensor 1 before position 2, or at the end.
    SequenceInsert,
    /// ONNX SequenceErase: sequence 0 without the tensor at position 1, or without the last.
    SequenceErase,
    /// ONNX SequenceAt: the tensor of sequence 0 at position 1.
    SequenceAt,
    /// ONNX SequenceLength: how many tensors sequence 0 has.
    SequenceLength,
    /// ONNX Optional: its input, or nothing.
    Optional,
    /// ONNX OptionalHasElement: whether its input is something.
    OptionalHasElement,
    /// ONNX OptionalGetElement: its input, which must be something.
    OptionalGetElement,
}

crate::attributes!(
    enum Arrangement {
        Identity,
        SequenceConstruct,
        SequenceEmpty,
        SequenceInsert,
        SequenceErase,
        SequenceAt,
        SequenceLength,
        Optional,
        OptionalHasElement,
        OptionalGetElement,
    }
);

/// An operator of these as such.
pub fn arrange(arrangement: Arrangement) -> Arc<dyn Op> {
    Arc::new(Flowing(arrangement))
}

/// The same value, be it a tensor, a sequence, or nothing.
pub fn identity() -> Arc<dyn Op> {
    arrange(Arrangement::Identity)
}

/// What an arrangement makes.
#[derive(Clone, Debug)]
pub enum Arranged<T> {
    /// Made of what it was given.
    Given(Structure<T>),
    /// What is known of that: a length, or whether there is anything.
    Known(Tensor),
}

impl Arrangement {
    /// The input whose contents it must know, where that is given.
    pub fn position<T>(self, inputs: &[Structure<T>]) -> Option<usize> {
        let index = match self {
            Arrangement::SequenceInsert => 2,
            Arrangement::SequenceErase | Arrangement::SequenceAt => 1,
            _ => return None,
        };
        inputs.get(index).is_some_and(|input| !input.is_absent()).then_some(index)
    }

    /// What it makes of these inputs; `position` is what the input of that name holds.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a position outside of the sequence, and for an element of nothing;
    /// [`InvalidModel`](crate::ErrorKind::InvalidModel) for inputs of the wrong kind, and tensors of different dtypes in one sequence.
    pub fn arrange<T: Clone>(
        self,
        inputs: &[Structure<T>],
        position: Option<&Tensor>,
        dtype: impl Fn(&T) -> Result<DType>,
    ) -> Result<Arranged<T>> {
        let input = |index: usize| inputs.get(index).unwrap_or(&Structure::Absent);
        let own = |index: usize| input(index).sequence().map(<[T]>::to_vec);
        let given = |tensors: Vec<T>| {
            alike(&tensors, &dtype)?;
            Ok(Arranged::Given(Structure::Sequence(tensors)))
        };
        match self {
            Arrangement::Identity | Arrangement::Optional => Ok(Arranged::Given(input(0).clone())),
            Arrangement::SequenceConstruct => given(inputs.iter().map(|input| input.tensor().cloned()).collect::<Result<_>>()?),
            Arrangement::SequenceEmpty => given(vec![]),
            Arrangement::SequenceInsert => {
                let (mut tensors, tensor) = (own(0)?, input(1).tensor()?.clone());
                let length = tensors.len();
                tensors.insert(position.map_or(Ok(length), |at| place(at, length, length + 1))?, tensor);
                given(tensors)
            }
            Arrangement::SequenceErase => {
                let mut tensors = own(0)?;
                let length = tensors.len();
                let last =
                    || length.checked_sub(1).ok_or_else(|| Error::invalid_input("an empty sequence has no last tensor to erase"));
                tensors.remove(position.map_or_else(last, |at| place(at, length, length))?);
                given(tensors)
            }
            Arrangement::SequenceAt => {
                let tensors = input(0).sequence()?;
                let at = position.ok_or_else(|| Error::invalid_model("SequenceAt needs input 1, which is missing"))?;
                Ok(Arranged::Given(Structure::Tensor(tensors[place(at, tensors.len(), tensors.len())?].clone())))
            }
            Arrangement::SequenceLength => Ok(Arranged::Known(Tensor::scalar(input(0).sequence()?.len() as i64))),
            Arrangement::OptionalHasElement => Ok(Arranged::Known(Tensor::scalar(!input(0).is_absent()))),
            Arrangement::OptionalGetElement if input(0).is_absent() => {
                Err(Error::invalid_input("the optional holds nothing: expected an element"))
            }
            Arrangement::OptionalGetElement => Ok(Arranged::Given(input(0).clone())),
        }
    }
}

/// Checks that the tensors of a sequence have one dtype.
fn alike<T>(tensors: &[T], dtype: impl Fn(&T) -> Result<DType>) -> Result<()> {
    let Some(first) = tensors.first().map(&dtype).transpose()? else { return Ok(()) };
    for (index, tensor) in tensors.iter().enumerate() {
        let found = dtype(tensor)?;
        if found != first {
            return Err(Error::invalid_model(format!(
                "the tensors of a sequence have one dtype: tensor 0 is {first}, tensor {index} {found}"
            )));
        }
    }
    Ok(())
}

/// Where a position lies among `places` places of a sequence of `length` tensors; negative ones count from its end.
fn place(position: &Tensor, length: usize, places: usize) -> Result<usize> {
    checked(position.ty())?;
    let position = position.to_i128().first().copied().unwrap_or(0);
    let (length, places) = (length as i128, places as i128);
    let at = if position < 0 { position + length } else { position };
    usize::try_from(at).ok().filter(|at| (*at as i128) < places).ok_or_else(|| {
        let range = if places == 0 { "it has none".to_string() } else { format!("expected {} to {}", -length, places - 1) };
        Error::invalid_input(format!("position {position} is outside of a sequence of {length} tensors: {range}"))
    })
}

/// Checks the type of a position.
fn checked(ty: &TensorType) -> Result<()> {
    if ty.dtype.is_float() || ty.dtype == DType::Bool || ty.elements() != 1 {
        return Err(Error::invalid_model(format!("a position in a sequence is one integer, found {ty}")));
    }
    Ok(())
}

impl Flow for Arrangement {
    fn name(&self) -> &'static str {
        match self {
            Arrangement::Identity => "Identity",
            Arrangement::SequenceConstruct => "SequenceConstruct",
            Arrangement::SequenceEmpty => "SequenceEmpty",
            Arrangement::SequenceInsert => "SequenceInsert",
            Arrangement::SequenceErase => "SequenceErase",
            Arrangement::SequenceAt => "SequenceAt",
            Arrangement::SequenceLength => "SequenceLength",
            Arrangement::Optional => "Optional",
            Arrangement::OptionalHasElement => "OptionalHasElement",
            Arrangement::OptionalGetElement => "OptionalGetElement",
        }
    }

    fn attributes(&self, key: &mut crate::graph::Key) {
        crate::graph::Attribute::add_to(self, key);
    }

    fn evaluate(&self, inputs: &[Structure<Tensor>], _: u64) -> Result<Vec<Structure<Tensor>>> {
        let position = self.position(inputs).map(|index| inputs[index].tensor()).transpose()?;
        Ok(vec![match self.arrange(inputs, position, |tensor| Ok(tensor.dtype()))? {
            Arranged::Given(structure) => structure,
            Arranged::Known(tensor) => Structure::Tensor(tensor),
        }])
    }

    fn write(&self, _: &Node, inputs: &[Structure<ValueId>], writer: &mut Writer) -> Result<Vec<Structure<ValueId>>> {
        let position = match self.position(inputs) {
            None => None,
            Some(index) => {
                let fact = writer.fact(*inputs[index].tensor()?)?;
                checked(&fact.ty)?;
                Some(fact.value.clone().ok_or_else(|| Error::needs_value(index))?)
            }
        };
        let arranged = self.arrange(inputs, position.as_ref(), |id| Ok(writer.fact(*id)?.dtype()))?;
        Ok(vec![match arranged {
            Arranged::Given(structure) => structure,
            Arranged::Known(tensor) => Structure::Tensor(writer.tensor(tensor)),
        }])
    }
}
