//! FirstNonFinite: from which batch on nothing may be learned.

use super::controls as at;
use crate::error::{Error, Result};
use crate::graph::{Fact, Io, Op, required};
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, Offers, Operand, params, shader, u32s};
use crate::ops::copy;
use crate::ops::shared::{no_scalar, one_each};
use crate::tensor::{DType, Scalar, Tensor, View};
use std::sync::Arc;

params! {
    /// Parameters of `first_non_finite.wgsl`.
    struct FirstNonFiniteParams {
        count: u32,
    }
}

shader!(pub(super) static FIRST_NON_FINITE: FirstNonFiniteParams = "first_non_finite");

pub(super) const NAME: &str = "FirstNonFinite";

/// Floats that an invocation looks at.
const WIDTH: usize = 4;

/// The least magnitude whose square is infinite in 32 bits.
pub const GREATEST: f64 = 18_446_744_073_709_551_616.0;

/// The word that says that the batch of a number, counted from 1, is the first of which nothing is learned. 0 says that there is none.
pub fn word_of(number: u64) -> i32 {
    i32::MIN.saturating_add(i32::try_from(number).unwrap_or(i32::MAX))
}

/// The number of the batch that a word tells.
pub fn number_of(word: i32) -> Option<u64> {
    (word < 0).then(|| u64::from(word.abs_diff(i32::MIN)))
}

/// Whether all of a gradient can be learned from: its numbers are finite, and so are their squares, which norms and optimizers are made of.
pub fn is_sound(gradient: f64) -> bool {
    gradient.abs() < GREATEST
}

/// Input 0 is a word, which tells the first batch whose loss or gradients are infinite or no number ([`word_of`]), input 1 the loss of a batch, input 2 its
/// [`controls`](super::controls), with the batch's number; all further inputs are gradients, vectors of multiples of four floats. Output 0 is
/// the word after that batch: what it was, or the batch's where it is the first.
#[derive(Clone, Debug, PartialEq)]
pub struct FirstNonFinite;

/// The operator that notes the first batch of which nothing is learned.
pub fn first_non_finite() -> Arc<dyn Op> {
    Arc::new(FirstNonFinite)
}

/// Whether something is a word as this operator makes it.
pub(super) fn is_word(fact: &Fact) -> bool {
    fact.dtype() == DType::I32 && fact.ty.elements() == 1
}

/// Whether a word tells a batch.
pub(super) fn is_held_back(word: Option<&Tensor>) -> bool {
    word.is_some_and(|word| word.to_i64().iter().any(|word| *word != 0))
}

impl FirstNonFinite {
    /// A look at one of the gradients, and with the first of them at the loss; at the loss alone where there is none.
    fn look(&self, io: &Io, index: usize, word: Operand, caps: &Caps) -> Result<Dispatch> {
        let gradient = io.optional(index);
        let count = gradient.map_or(1, |fact| fact.ty.elements() / WIDTH);
        let access = [Access::Read, Access::Read, Access::Read, Access::Write];
        let kernel = Kernel::new(&FIRST_NON_FINITE, &access, [64, 1, 1]).set("GRADIENTS", gradient.is_some().into());
        let first = gradient.map_or(Operand::Nothing, |_| Operand::Input(index));
        let params = FirstNonFiniteParams { count: u32s([count])?[0] };
        let bindings = vec![first, Operand::Input(1), Operand::Input(2), word];
        Ok(one_each(kernel, params, count, bindings, caps)?.work(0, gradient.map_or(4, |_| count * WIDTH * 4) as u64))
    }

    fn looks(&self, io: &Io, word: Operand, caps: &Caps) -> Result<Vec<Dispatch>> {
        (3..io.inputs.len().max(4)).map(|index| self.look(io, index, word, caps)).collect()
    }
}

impl Op for FirstNonFinite {
    fn name(&self) -> &'static str {
        NAME
    }

    crate::attributes!();

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let (word, loss, controls) = (required(NAME, inputs, 0)?, required(NAME, inputs, 1)?, required(NAME, inputs, 2)?);
        let numbers = loss.dtype().is_float() && controls.dtype().is_float();
        if !is_word(word) || !numbers || loss.ty.elements() != 1 || controls.shape()[..] != [at::COUNT] {
            return Err(Error::invalid_model(format!(
                "{NAME} expects a word of i32, a loss and {} controls, found {}, {} and {}",
                at::COUNT,
                word.ty,
                loss.ty,
                controls.ty
            )));
        }
        for index in 3..inputs.len() {
            let gradient = required(NAME, inputs, index)?;
            if !gradient.dtype().is_float() || !gradient.ty.elements().is_multiple_of(WIDTH) || gradient.ty.elements() == 0 {
                return Err(Error::invalid_model(format!(
                    "{NAME} expects gradients of whole vectors of {WIDTH} floats, found {}",
                    gradient.ty
                )));
            }
        }
        Ok(vec![Fact::new(DType::I32, word.shape().clone())])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let (word, loss) = (required(NAME, inputs, 0)?, required(NAME, inputs, 1)?.to_f64());
        let controls = required(NAME, inputs, 2)?.to_f64();
        let gradients = || inputs.iter().skip(3).flatten();
        let fine =
            loss.iter().all(|loss| loss.is_finite()) && gradients().all(|gradient| gradient.to_f64().into_iter().all(is_sound));
        let own = if fine { 0 } else { word_of((controls[at::BATCH] + controls[at::BATCHES] * at::PAGE) as u64) };
        let least: Vec<i32> = word.as_slice::<i32>()?.iter().map(|word| own.min(*word)).collect();
        Ok(vec![Tensor::new(word.shape().clone(), &least)?])
    }

    fn updates(&self, _: &[Option<&Fact>]) -> Option<(usize, usize)> {
        Some((0, 0))
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        for k in 1..io.inputs.len() {
            let fact = io.input(k)?;
            if fact.scalar() != Some(Scalar::F32) {
                return Err(no_scalar(fact));
            }
        }
        let caps = offers.caps();
        offers.add("in_place", 0, || Ok(Lowering::new(self.looks(io, Operand::Updated, caps)?)));
        offers.add("copy", 1, || {
            let whole = View::contiguous(io.input(0)?.shape());
            let mut dispatches = vec![copy::strided(&whole, &whole, [Operand::Input(0), Operand::Output(0)], caps)?];
            dispatches.extend(self.looks(io, Operand::Output(0), caps)?);
            Ok(Lowering::new(dispatches))
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{GREATEST, is_sound, number_of, word_of};

    #[test]
    fn words_tell_numbers_and_the_least_is_the_first() {
        assert!(number_of(0).is_none() && word_of(1) < word_of(2) && word_of(u64::MAX) < 0);
        assert_eq!([1, 65_536, 1 << 30].map(|number| number_of(word_of(number))), [Some(1), Some(65_536), Some(1 << 30)]);
    }

    #[test]
    fn gradients_are_sound_where_their_squares_are_finite() {
        let below = (GREATEST as f32).next_down();
        assert!((below * below).is_finite() && is_sound(f64::from(below)));
        assert!(!(GREATEST as f32 * GREATEST as f32).is_finite() && !is_sound(-GREATEST));
        assert!(!is_sound(f64::NAN) && !is_sound(f64::INFINITY));
    }
}
