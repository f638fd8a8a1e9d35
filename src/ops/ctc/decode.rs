//! CtcGreedyDecode: what the best class of each frame says.

use super::check::CheckCtcSequences;
use super::extents::frames;
use crate::error::Result;
use crate::graph::{Fact, Gradient, Node, Op, ValueId, Writer, required};
use crate::ops::argreduce::arg_max;
use crate::ops::compose::Compose;
use crate::ops::concat::concat;
use crate::ops::cumulative::cum_sum;
use crate::ops::elementwise::cast;
use crate::ops::reduce::{Reduction, reduce};
use crate::ops::scatter::scatter_elements;
use crate::tensor::{DType, Tensor, TensorType};
use std::sync::Arc;

pub(super) const NAME: &str = "CtcGreedyDecode";

/// The labels of likeliest alignments, see [`ctc_greedy_decode`].
#[derive(Clone, Debug, PartialEq)]
pub struct CtcGreedyDecode {
    /// The class that stands for no label.
    pub blank: usize,
}

/// The labels of the likeliest alignment of each sequence: the best class of each frame (the first of equal ones), of which
/// neighbours that are the same count once and blanks not at all.
///
/// Inputs: logits or log-probabilities `[time, batch, classes]`, and how many frames of each sequence count, `[batch]`. Outputs,
/// both of i64: the labels `[batch, time]`, followed by -1, and how many there are, `[batch]`.
pub fn ctc_greedy_decode(blank: usize) -> Arc<dyn Op> {
    Arc::new(CtcGreedyDecode { blank })
}

impl CtcGreedyDecode {
    /// Time, batch and classes.
    fn extents(&self, logits: &TensorType, lengths: &TensorType) -> Result<[usize; 3]> {
        frames(NAME, self.blank, logits, lengths)
    }
}

impl Op for CtcGreedyDecode {
    fn name(&self) -> &'static str {
        NAME
    }

    crate::attributes!(blank);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let [time, batch, classes] = self.extents(&required(NAME, inputs, 0)?.ty, &required(NAME, inputs, 1)?.ty)?;
        let labels = Fact::new(DType::I64, [batch, time]).bounded(Some((-1, classes as i128 - 1)));
        Ok(vec![labels, Fact::new(DType::I64, [batch]).bounded(Some((0, time as i128)))])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let (logits, lengths) = (required(NAME, inputs, 0)?, required(NAME, inputs, 1)?);
        let [time, batch, classes] = self.extents(logits.ty(), lengths.ty())?;
        CheckCtcSequences { time, target: None }.reference(&[Some(lengths)])?;
        let best = arg_max(2, false, false).reference(&[Some(logits)])?;
        let best: Vec<i64> = best.iter().flat_map(Tensor::to_i64).collect();
        debug_assert!(best.iter().all(|class| (0..classes as i64).contains(class)));
        let mut labels = vec![-1i64; batch * time];
        let mut counts = vec![0i64; batch];
        for (element, length) in lengths.to_i64().into_iter().enumerate() {
            let mut last = None;
            for frame in 0..length as usize {
                let class = best[frame * batch + element];
                if class != self.blank as i64 && last != Some(class) {
                    labels[element * time + counts[element] as usize] = class;
                    counts[element] += 1;
                }
                last = Some(class);
            }
        }
        Ok(vec![Tensor::new([batch, time], &labels)?, Tensor::new([batch], &counts)?])
    }

    fn expand(&self, node: &Node, inputs: &[Option<&Fact>], writer: &mut Writer) -> Result<Option<Vec<ValueId>>> {
        let [time, batch, _] = self.extents(&required(NAME, inputs, 0)?.ty, &required(NAME, inputs, 1)?.ty)?;
        if time * batch == 0 {
            return Ok(None);
        }
        let (logits, lengths) = (node.needed(0)?, node.needed(1)?);
        let fits = writer.apply(Arc::new(CheckCtcSequences { time, target: None }), &[lengths])?;
        let best = writer.apply(arg_max(2, false, false), &[logits])?;
        let best = writer.apply(cast(DType::I32)?, &[best])?;
        let best = writer.transposed(best, &[1, 0])?;
        let filled = |number: i128, columns: usize| {
            Tensor::from_i128(TensorType::new(DType::I32, [batch, columns]), &vec![number; batch * columns])
        };
        // No class stands before the first frame.
        let mut last = writer.tensor(filled(-1, 1)?);
        if time > 1 {
            let others = writer.sliced(best, 1, 0, time - 1, 1)?;
            last = writer.apply(concat(1), &[last, others])?;
        }
        let is_same = writer.function("Equal", &[best, last])?;
        let is_blank = writer.with_number("Equal", best, self.blank as f64)?;
        let is_left_out = writer.function("Or", &[is_same, is_blank])?;
        let is_label = writer.function("Not", &[is_left_out])?;
        let places: Vec<i128> = (0..).take(time).collect();
        let places = writer.tensor(Tensor::from_i128(TensorType::new(DType::I32, [1, time]), &places)?);
        let lengths = writer.apply(cast(DType::I32)?, &[lengths])?;
        let lengths = writer.reshape(lengths, &[batch, 1])?;
        let counts = writer.function("Less", &[places, lengths])?;
        let counts = writer.function("And", &[counts, fits])?;
        let kept = writer.function("And", &[is_label, counts])?;
        let ones = writer.counted(kept, DType::I32)?;
        let axis = writer.tensor(Tensor::scalar(1i64));
        let before = writer.apply(cum_sum(true, false), &[ones, axis])?;
        // What is left out goes to a place behind all others, which is cut off.
        let nowhere = writer.number(DType::I32, time as f64)?;
        let place = writer.chosen(kept, before, nowhere)?;
        let none = writer.tensor(filled(-1, time + 1)?);
        let labels = writer.apply(scatter_elements(1, None), &[none, place, best])?;
        let labels = writer.sliced(labels, 1, 0, time, 1)?;
        let labels = writer.apply(cast(DType::I64)?, &[labels])?;
        let count = writer.apply(reduce(Reduction::Sum, Some(vec![1]), false, false), &[ones])?;
        Ok(Some(vec![labels, writer.apply(cast(DType::I64)?, &[count])?]))
    }

    fn gradient(&self, _: &Node, _: &[Option<ValueId>], _: &[bool], _: &mut Writer) -> Result<Gradient> {
        Ok(Gradient::Zero)
    }
}
