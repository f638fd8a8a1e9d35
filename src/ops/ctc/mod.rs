//! Connectionist temporal classification (Graves, Fernandez, Gomez, Schmidhuber 2006): the loss of a sequence of frames whose
//! labels stand in order but nowhere in time, and the labels that the best class of each frame makes.

mod check;
mod decode;
mod extents;
mod lower;
mod reference;

pub use check::{CheckCtcSequences, check_ctc_sequences};
pub use decode::{CtcGreedyDecode, ctc_greedy_decode};

use super::Registration;
use super::compose::Compose;
use crate::error::{Error, Result};
use crate::graph::{Fact, Gradient, Io, Node, Op, ValueId, Writer, required};
use crate::kernel::Offers;
use crate::tensor::{Tensor, TensorType};
use extents::{frames, is_integer, lengths_of};
use std::sync::Arc;

/// The operators of this folder.
pub static REGISTRATION: Registration = Registration {
    operators: &[NAME, check::NAME, decode::NAME],
    shaders: &[&lower::SEQUENCES, &lower::FRAMES, &lower::LOSS, &lower::GRADIENT, &check::SHADER],
};

const NAME: &str = "CtcLoss";

/// The CTC loss, see [`ctc_loss`]. An input behind its own says whether all of them are in range ([`CheckCtcSequences`]), which the
/// operator finds out where it is left out.
#[derive(Clone, Debug, PartialEq)]
pub struct CtcLoss {
    /// The class that stands for no label.
    pub blank: usize,
    /// Infinite losses and their gradients count 0.
    pub zero_infinity: bool,
}

/// The loss of each sequence of a batch: minus the logarithm of the probability of all alignments of its target, and how that
/// changes with the logits. `blank` is the class that stands for no label; with `zero_infinity` infinite losses and their gradients
/// count 0.
///
/// Inputs: logits `[time, batch, classes]`, of which the logarithm of the softmax over classes is taken (that of log-probabilities
/// is what they are); targets `[batch, labels]`; how many frames and how many labels of each sequence count, `[batch]` both. A run
/// in which a label is no class or the blank, or a length exceeds what there is, fails.
///
/// Outputs: the losses `[batch]`, infinite where a target has no alignment; the gradient of each with respect to its logits, 0 at
/// frames that do not count, NaN at the others of a loss that is infinite. It costs nothing unless somebody reads it.
pub fn ctc_loss(blank: usize, zero_infinity: bool) -> Arc<dyn Op> {
    Arc::new(CtcLoss { blank, zero_infinity })
}

/// What the inputs measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Extents {
    time: usize,
    batch: usize,
    classes: usize,
    labels: usize,
}

impl CtcLoss {
    fn extents(&self, [logits, target, input_lengths, target_lengths]: [&TensorType; 4]) -> Result<Extents> {
        let [time, batch, classes] = frames(NAME, self.blank, logits, input_lengths)?;
        lengths_of(NAME, batch, target_lengths)?;
        match target.shape[..] {
            [rows, labels] if rows == batch && is_integer(target) => Ok(Extents { time, batch, classes, labels }),
            _ => Err(Error::invalid_model(format!("{NAME} expects targets of i32 or i64 [{batch}, labels], found {target}"))),
        }
    }

    /// What finds out whether lengths and labels are in range.
    fn check(&self, extents: Extents) -> CheckCtcSequences {
        let Extents { time, classes, labels, .. } = extents;
        CheckCtcSequences { time, target: Some([labels, classes, self.blank]) }
    }
}

/// The first four inputs.
fn four<'a, T: ?Sized>(inputs: &[Option<&'a T>]) -> Result<[&'a T; 4]> {
    Ok([required(NAME, inputs, 0)?, required(NAME, inputs, 1)?, required(NAME, inputs, 2)?, required(NAME, inputs, 3)?])
}

impl Op for CtcLoss {
    fn name(&self) -> &'static str {
        NAME
    }

    crate::attributes!(blank, zero_infinity);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let facts = four(inputs)?;
        let Extents { time, batch, classes, .. } = self.extents(facts.map(|fact| &fact.ty))?;
        let dtype = facts[0].dtype();
        Ok(vec![Fact::new(dtype, [batch]), Fact::new(dtype, [time, batch, classes])])
    }

    fn expand(&self, node: &Node, inputs: &[Option<&Fact>], writer: &mut Writer) -> Result<Option<Vec<ValueId>>> {
        if node.input(4).is_some() {
            return Ok(None);
        }
        let check = self.check(self.extents(four(inputs)?.map(|fact| &fact.ty))?);
        let fits = writer.apply(Arc::new(check), &[node.needed(2)?, node.needed(3)?, node.needed(1)?])?;
        let mut inputs = node.inputs.clone();
        inputs.resize(4, None);
        inputs.push(Some(fits));
        Ok(Some(writer.apply_all(Arc::new(self.clone()), &inputs, 2)?))
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let tensors = four(inputs)?;
        let extents = self.extents(tensors.map(Tensor::ty))?;
        self.check(extents).reference(&[Some(tensors[2]), Some(tensors[3]), Some(tensors[1])])?;
        reference::reference(self, extents, tensors)
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        let types = [&io.input(0)?.ty, &io.input(1)?.ty, &io.input(2)?.ty, &io.input(3)?.ty];
        lower::lower(self, self.extents(types)?, io, offers)
    }

    fn gradient(&self, node: &Node, upstream: &[Option<ValueId>], wanted: &[bool], writer: &mut Writer) -> Result<Gradient> {
        if upstream.get(1).copied().flatten().is_some() {
            return Ok(Gradient::Undefined("its own gradient has no rule"));
        }
        let (Some(worth), Some(loss)) = (upstream.first().copied().flatten(), node.outputs.first().copied().flatten()) else {
            return Ok(Gradient::Zero);
        };
        let slope = slope(node, loss, writer)?;
        let batch = writer.fact(worth)?.ty.elements();
        let worth = writer.reshape(worth, &[1, batch, 1])?;
        let mut found = vec![None; wanted.len()];
        if let Some(found) = found.first_mut() {
            *found = Some(writer.function("Mul", &[worth, slope])?);
        }
        Ok(Gradient::Inputs(found))
    }
}

/// The second output of the node that makes a loss, which writes it from now on where nobody has read it so far.
fn slope(node: &Node, loss: ValueId, writer: &mut Writer) -> Result<ValueId> {
    let producer = writer.producer(loss).ok_or_else(|| Error::internal("a loss that no node makes"))?;
    let current = writer.node(producer).unwrap_or(node).clone();
    if let Some(slope) = current.outputs.get(1).copied().flatten() {
        return Ok(slope);
    }
    let fact = writer.fact(node.needed(0)?)?;
    let fact = Fact::new(fact.dtype(), fact.shape().clone());
    let slope = writer.value(&format!("{}.gradient", node.name()), Some(fact));
    writer.replace(producer, Node { outputs: vec![Some(loss), Some(slope)], ..current });
    Ok(slope)
}
