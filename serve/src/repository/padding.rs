//! A dimension that inputs are padded along, as the model has it.

use super::config::Pad;
use super::interface::Interface;
use super::probe::carried;
use crate::failure::{Code, Failure, Result};
use crate::protocol::{Datatype, InferTensor, elements};
use bytes::Bytes;
use gristmill::{DType, Model, Session};
use half::{bf16, f16};

/// How an input is padded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaddedInput {
    /// The axis of the dimension.
    pub axis: usize,
    /// The bytes of an element of padding.
    pub element: Vec<u8>,
}

/// The input that says what is padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    /// Its place among the inputs.
    pub input: usize,
    name: String,
    datatype: Datatype,
    /// The bytes of a 1.
    one: Vec<u8>,
    extents: Vec<Extent>,
}

/// An extent of a mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    Rows,
    Length,
    Known(usize),
}

/// A dimension that inputs are padded along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Padding {
    /// Its name.
    pub name: String,
    /// What it is padded to, ascending.
    pub lengths: Vec<usize>,
    /// How each input is padded that has it.
    pub inputs: Vec<Option<PaddedInput>>,
    /// Its axis in each output that has it.
    pub outputs: Vec<Option<usize>>,
    /// The input that says what is padding.
    pub mask: Option<Mask>,
}

fn invalid<T>(what: impl AsRef<str>) -> Result<T> {
    Err(Failure::invalid(format!("model.toml: batching.pad: {}", what.as_ref())))
}

impl Padding {
    /// Finds a dimension in a model. A mask may be left out by requests from then on.
    ///
    /// # Errors
    /// What the configuration names and the model does not have; inputs that have the dimension twice; outputs that change with it and do not
    /// have it.
    pub(super) fn new(pad: &Pad, model: &Model, session: &Session, interface: &mut Interface) -> Result<Self> {
        let name = &pad.dimension;
        if interface.batch.as_ref().is_some_and(|batch| batch.name == *name) {
            interface.batch = None;
        }
        if let Some(unknown) = pad.values.keys().find(|input| interface.input(input).is_none()) {
            return invalid(format!("values: the model has no input `{unknown}`"));
        }
        let inputs = padded_inputs(pad, interface)?;
        if inputs.iter().all(Option::is_none) {
            return invalid(format!("no input of the model has the dimension `{name}`"));
        }
        let (short, last) = (pad.lengths.first().copied().unwrap_or(1), pad.lengths.last().copied().unwrap_or(1));
        let long = if last > short { last } else { short + 1 };
        let batch = interface.batch.as_ref().map(|batch| batch.name.as_str());
        let Some(found) = carried(model, session, batch, name, [short, long]) else {
            return invalid(format!("the shapes of the outputs cannot be told for {short} and {long} along `{name}`"));
        };
        let outputs = match found.into_iter().collect::<Result<Vec<_>, String>>() {
            Ok(outputs) => outputs,
            Err(output) => {
                return invalid(format!(
                    "output `{output}` changes with `{name}` and does not have it once: nothing can be cut off"
                ));
            }
        };
        let mask = pad.mask.as_ref().map(|mask| Mask::new(mask, name, &inputs, interface)).transpose()?;
        Ok(Padding { name: name.clone(), lengths: pad.lengths.clone(), inputs, outputs, mask })
    }

    /// The axis of the dimension in an input.
    pub fn axis(&self, input: usize) -> Option<usize> {
        self.inputs.get(input)?.as_ref().map(|input| input.axis)
    }

    /// What a length is padded to.
    ///
    /// # Errors
    /// [`InvalidArgument`](Code::InvalidArgument) for 0, and for one that is longer than the longest.
    pub fn padded(&self, length: usize) -> Result<usize> {
        let most = self.lengths.last().copied().unwrap_or_default();
        let found = self.lengths.iter().copied().find(|bucket| *bucket >= length).filter(|_| length > 0);
        found.ok_or_else(|| {
            Failure::invalid(format!("expected from 1 to {most} along the dimension `{}`, found {length}", self.name))
        })
    }
}

fn padded_inputs(pad: &Pad, interface: &Interface) -> Result<Vec<Option<PaddedInput>>> {
    let mut inputs = Vec::new();
    for input in &interface.inputs {
        let mut axes = (0..input.symbols.len()).filter(|axis| input.symbols[*axis].as_ref() == Some(&pad.dimension));
        let Some(axis) = axes.next() else {
            inputs.push(None);
            continue;
        };
        if axes.next().is_some() {
            return invalid(format!("input `{}` has the dimension `{}` twice", input.name, pad.dimension));
        }
        let value = pad.values.get(&input.name).copied().unwrap_or_default();
        let element = input.datatype.dtype().and_then(|dtype| element(dtype, value));
        let Some(element) = element else {
            return invalid(format!("values: input `{}` of type {} cannot hold {value}", input.name, input.datatype));
        };
        inputs.push(Some(PaddedInput { axis, element }));
    }
    Ok(inputs)
}

impl Mask {
    fn new(name: &str, dimension: &str, inputs: &[Option<PaddedInput>], interface: &mut Interface) -> Result<Self> {
        let Some(place) = interface.inputs.iter().position(|input| input.name == name) else {
            return invalid(format!("mask: the model has no input `{name}`"));
        };
        let batch = interface.batch.as_ref().map(|batch| batch.name.clone());
        let described = &mut interface.inputs[place];
        if inputs.get(place).is_none_or(Option::is_none) {
            return invalid(format!("mask: input `{name}` does not have the dimension `{dimension}`"));
        }
        let zeros = described.datatype.dtype().and_then(|dtype| element(dtype, 0.0));
        if inputs[place].as_ref().map(|input| &input.element) != zeros.as_ref() {
            return invalid(format!("mask: input `{name}` is padded with 0: expected no other of its values"));
        }
        let extent = |(dim, symbol): (&Option<usize>, &Option<String>)| match (dim, symbol) {
            (Some(extent), _) => Some(Extent::Known(*extent)),
            (None, Some(symbol)) if symbol == dimension => Some(Extent::Length),
            (None, symbol) => (symbol.is_some() && *symbol == batch).then_some(Extent::Rows),
        };
        let extents: Option<Vec<Extent>> = described.dims.iter().flatten().zip(&described.symbols).map(extent).collect();
        let one = described.datatype.dtype().and_then(|dtype| element(dtype, 1.0));
        let Some((extents, one)) = extents.zip(one) else {
            return invalid(format!(
                "mask: input `{name}` has an open extent that is neither rows nor `{dimension}`, and cannot be made"
            ));
        };
        let mask = Mask { input: place, name: name.to_string(), datatype: described.datatype, one, extents };
        // Its length must be known of another input where it is left out.
        described.optional = inputs.iter().enumerate().any(|(index, input)| index != place && input.is_some());
        Ok(mask)
    }

    /// A mask of ones, of at most so many bytes: nothing is padding.
    ///
    /// # Errors
    /// [`TooLarge`](Code::TooLarge) for more.
    pub fn ones(&self, rows: usize, length: usize, most: usize) -> Result<InferTensor> {
        let extent = |extent: &Extent| match extent {
            Extent::Rows => rows,
            Extent::Length => length,
            Extent::Known(extent) => *extent,
        };
        let shape: Vec<usize> = self.extents.iter().map(extent).collect();
        let count = elements(&self.name, &shape)?;
        if count.saturating_mul(self.one.len()) > most {
            let message = format!("input `{}` of shape {shape:?} would be made of more than {most} bytes", self.name);
            return Err(Failure::new(Code::TooLarge, message));
        }
        InferTensor::new(self.name.clone(), self.datatype, shape, Bytes::from(self.one.repeat(count)))
    }
}

/// The bytes of an element of this value; none where the type does not hold it.
fn element(dtype: DType, value: f64) -> Option<Vec<u8>> {
    fn whole<T: TryFrom<i128>>(value: f64) -> Option<T> {
        // Saturates, and the type holds no number so large.
        T::try_from(value as i128).ok().filter(|_| value.fract() == 0.0)
    }
    Some(match dtype {
        DType::F64 => value.to_le_bytes().to_vec(),
        DType::F32 => (value as f32).to_le_bytes().to_vec(),
        DType::F16 => f16::from_f64(value).to_le_bytes().to_vec(),
        DType::BF16 => bf16::from_f64(value).to_le_bytes().to_vec(),
        DType::I8 => whole::<i8>(value)?.to_le_bytes().to_vec(),
        DType::I16 => whole::<i16>(value)?.to_le_bytes().to_vec(),
        DType::I32 => whole::<i32>(value)?.to_le_bytes().to_vec(),
        DType::I64 => whole::<i64>(value)?.to_le_bytes().to_vec(),
        DType::U8 => whole::<u8>(value)?.to_le_bytes().to_vec(),
        DType::U16 => whole::<u16>(value)?.to_le_bytes().to_vec(),
        DType::U32 => whole::<u32>(value)?.to_le_bytes().to_vec(),
        DType::U64 => whole::<u64>(value)?.to_le_bytes().to_vec(),
        DType::Bool => vec![whole::<u8>(value).filter(|value| *value <= 1)?],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_what_a_type_holds() {
        assert_eq!(element(DType::I64, -100.0), Some((-100i64).to_le_bytes().to_vec()));
        assert_eq!(element(DType::F32, 0.5), Some(0.5f32.to_le_bytes().to_vec()));
        assert_eq!(element(DType::Bool, 1.0), Some(vec![1]));
        for (dtype, value) in [(DType::U8, -1.0), (DType::U8, 256.0), (DType::I32, 0.5), (DType::Bool, 2.0), (DType::I64, f64::NAN)]
        {
            assert_eq!(element(dtype, value), None, "{dtype} {value}");
        }
    }
}
