//! Dropout in training form: elements are dropped at random, and may be dropped again alike.

pub(crate) mod threefry;

use super::Registration;
use super::compose::Compose;
use super::reshape::identity;
use super::shared::{WORKGROUP, no_scalar, one_each, unit};
use crate::error::{Error, Result};
use crate::graph::{Fact, Gradient, Io, Node, Op, ValueId, Writer, required};
use crate::kernel::{Access, Kernel, Lowering, Offers, Operand, params, preludes, shader, u32s};
use crate::tensor::{DType, Scalar, Tensor};
use std::sync::Arc;
use threefry::threefry;

params! {
    /// Parameters of `dropout.wgsl`.
    struct DropoutParams {
        count: u32,
        stream: u32,
        threshold: u32,
        scale: f32,
    }
}

shader!(static DROPOUT: DropoutParams = "dropout");

/// The operator of this folder.
pub static REGISTRATION: Registration = Registration { operators: &[NAME], shaders: &[&DROPOUT] };

const NAME: &str = "Dropout";

/// ONNX Dropout, input 0 with elements dropped at random and the others divided by the part that is kept. Output 1 is where they are kept.
///
/// Input 1 is the key, two words of 32 bits: a seed, and the number of a step. The random word of an element is that of Threefry for this
/// key, the element's place and [`stream`](Dropout::stream), and so nothing of a mask is stored: who asks again, as the gradient does,
/// is answered alike. Input 2, where given, is the ratio instead of the attribute; input 3 says whether anything is dropped at all. Both
/// are known before the run.
#[derive(Clone, Debug, PartialEq)]
pub struct Dropout {
    /// How many of all elements are dropped, from 0 to 1.
    pub ratio: f64,
    /// Tells the nodes of a network from one another.
    pub stream: u32,
}

/// Dropout over data and a key. Nodes of one network have streams of their own.
///
/// # Errors
/// [`InvalidModel`](crate::ErrorKind::InvalidModel) for a ratio that is not from 0 to 1.
pub fn dropout(ratio: f64, stream: u32) -> Result<Arc<dyn Op>> {
    check_ratio(ratio)?;
    Ok(Arc::new(Dropout { ratio, stream }))
}

/// A stream of its own for the node of a file, of which it is the so many-th Dropout, and which may name a seed.
pub fn stream(number: u32, seed: Option<i64>) -> u32 {
    // All bits of the seed.
    seed.map_or(number, |seed| threefry([seed as u32, (seed >> 32) as u32], [number, 0])[0])
}

fn check_ratio(ratio: f64) -> Result<()> {
    match (0.0..=1.0).contains(&ratio) {
        true => Ok(()),
        false => Err(Error::invalid_model(format!("{NAME} expects a ratio from 0 to 1, found {ratio}"))),
    }
}

/// What is known of an optional input of one element.
fn number(inputs: &[Option<&Fact>], index: usize) -> Result<Option<f64>> {
    let Some(fact) = inputs.get(index).copied().flatten() else { return Ok(None) };
    let value = fact.value.as_ref().ok_or_else(|| Error::needs_value(index))?;
    match value.to_f64()[..] {
        [number] => Ok(Some(number)),
        _ => Err(Error::invalid_model(format!("{NAME} expects input {index} of one element, found {}", fact.ty))),
    }
}

impl Dropout {
    /// The operator with what its last two inputs say.
    fn settled(&self, ratio: Option<f64>, training: Option<f64>) -> Result<Dropout> {
        let given = ratio.unwrap_or(self.ratio);
        check_ratio(given)?;
        let drops = training.is_none_or(|training| training != 0.0);
        Ok(Dropout { ratio: if drops { given } else { 0.0 }, stream: self.stream })
    }

    /// The least random word that keeps an element: with this chance a word is less. 2^32 where none does.
    fn threshold(&self) -> u64 {
        // From 0 to 2^32.
        (self.ratio * 4_294_967_296.0).ceil() as u64
    }

    /// What kept elements are multiplied by.
    fn scale(&self) -> f64 {
        1.0 / (1.0 - self.ratio)
    }

    /// All elements, or none of them.
    fn whole(&self, writer: &mut Writer, data: ValueId, kept: bool) -> Result<Vec<ValueId>> {
        let ty = writer.fact(data)?.ty.clone();
        let value = if kept { writer.apply(identity(), &[data])? } else { writer.zeros(ty.dtype, &ty.shape)? };
        let mask = writer.tensor(Tensor::scalar(kept));
        Ok(vec![value, writer.stretched(mask, &ty.shape)?])
    }
}

impl Op for Dropout {
    fn name(&self) -> &'static str {
        NAME
    }

    crate::attributes!(ratio, stream);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let (data, key) = (required(NAME, inputs, 0)?, required(NAME, inputs, 1)?);
        if !data.dtype().is_float() {
            return Err(Error::invalid_model(format!("{NAME} takes floats, found {}", data.ty)));
        }
        if !matches!(key.dtype(), DType::I32 | DType::U32) || key.shape().dims() != [2] {
            return Err(Error::invalid_model(format!("{NAME} expects a key of i32 or u32 [2], found {}", key.ty)));
        }
        self.settled(number(inputs, 2)?, number(inputs, 3)?)?;
        Ok(vec![Fact::new(data.dtype(), data.shape().clone()), Fact::new(DType::Bool, data.shape().clone())])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let (data, key) = (required(NAME, inputs, 0)?, required(NAME, inputs, 1)?);
        let number = |index: usize| inputs.get(index).copied().flatten().and_then(|tensor| tensor.to_f64().first().copied());
        let own = self.settled(number(2), number(3))?;
        // Either sign of 32 bits.
        let words: Vec<u32> = key.to_i64().into_iter().map(|word| word as u32).collect();
        let key = [words.first().copied().unwrap_or(0), words.get(1).copied().unwrap_or(0)];
        let (threshold, scale) = (own.threshold(), own.scale());
        let mut mask = Vec::with_capacity(data.elements());
        for place in 0..data.elements() {
            // A counter has 32 bits.
            let words = threefry(key, [(place / 2) as u32, own.stream]);
            mask.push(u64::from(words[place % 2]) >= threshold);
        }
        let kept = |(value, kept): (f64, &bool)| if *kept { value * scale } else { 0.0 };
        let values: Vec<f64> = data.to_f64().into_iter().zip(&mask).map(kept).collect();
        Ok(vec![Tensor::from_f64(data.ty().clone(), &values)?, Tensor::new(data.shape().dims(), &mask)?])
    }

    /// A ratio of 0 keeps all that there is, one of 1 nothing.
    fn expand(&self, node: &Node, inputs: &[Option<&Fact>], writer: &mut Writer) -> Result<Option<Vec<ValueId>>> {
        let (data, key) = (node.needed(0)?, node.needed(1)?);
        let own = self.settled(number(inputs, 2)?, number(inputs, 3)?)?;
        match own.threshold() {
            0 => own.whole(writer, data, true).map(Some),
            threshold if threshold > u32::MAX.into() => own.whole(writer, data, false).map(Some),
            _ if node.inputs.len() > 2 => Ok(Some(writer.apply_all(Arc::new(own), &[Some(data), Some(key)], 2)?)),
            _ => Ok(None),
        }
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        let (data, key) = (io.input(0)?, io.input(1)?);
        if data.scalar() != Some(Scalar::F32) {
            return Err(no_scalar(data));
        }
        if key.scalar().is_none() {
            return Err(no_scalar(key));
        }
        let caps = offers.caps();
        offers.only("dropout", || {
            let threshold = u32::try_from(self.threshold()).map_err(|_| Error::unsupported("a ratio that keeps nothing"))?;
            let width = unit([data.ty.elements()]);
            let groups = data.ty.elements() / width;
            let [count, width] = u32s([groups, width])?;
            // The nearest f32, as that of any number of a network.
            let params = DropoutParams { count, stream: self.stream, threshold, scale: self.scale() as f32 };
            let words = if width == 4 { &preludes::RANDOM_WORDS4 } else { &preludes::RANDOM_WORDS1 };
            let mut bindings = vec![Operand::Input(0), Operand::Input(1), Operand::Output(0)];
            let mut access = vec![Access::Read, Access::Read, Access::Write];
            let is_masked = io.used.get(1).copied().unwrap_or(false);
            if is_masked {
                bindings.push(Operand::Output(1));
                access.push(Access::Write);
            }
            let mask = if is_masked { &preludes::DROPOUT_MASK } else { &preludes::DROPOUT_VALUES };
            let kernel = Kernel::new(&DROPOUT, &access, [WORKGROUP, 1, 1]);
            let kernel = kernel.prelude(&preludes::THREEFRY).prelude(words).prelude(mask);
            let kernel = io.attach_epilogue(kernel, &mut bindings, width, caps)?;
            let elements = data.ty.elements() as u64;
            // Twenty rounds of five operations for two words.
            Ok(Lowering::new(vec![one_each(kernel, params, groups, bindings, caps)?.work(50 * elements, 8 * elements)]))
        });
        Ok(())
    }

    /// What is dropped is worth nothing: the same elements are dropped of what a change of the output is worth.
    fn gradient(&self, node: &Node, upstream: &[Option<ValueId>], wanted: &[bool], writer: &mut Writer) -> Result<Gradient> {
        let Some(worth) = upstream.first().copied().flatten() else { return Ok(Gradient::Zero) };
        let mut inputs = node.inputs.clone();
        inputs.iter_mut().take(1).for_each(|data| *data = Some(worth));
        let mut found = vec![None; wanted.len()];
        if let Some(data) = found.first_mut() {
            *data = writer.apply_all(Arc::new(self.clone()), &inputs, 1)?.first().copied();
        }
        Ok(Gradient::Inputs(found))
    }

    fn takes_epilogue(&self) -> bool {
        true
    }
}
