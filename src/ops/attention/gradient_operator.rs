//! The way back through attention as an operator of its own, without a matrix of scores in memory.

use super::{Attention, OUTPUT, WORTH, gradient_lower, gradient_reference};
use crate::error::{Error, Result};
use crate::graph::{Fact, Io, Key, Op, required};
use crate::kernel::Offers;
use crate::tensor::{Tensor, View};
use std::sync::Arc;

const NAME: &str = "AttentionGradient";

/// How a number changes with the queries, keys and values of attention (Dao et al. 2022, "FlashAttention", appendix B.2).
///
/// Inputs 0 to 4 are those of [`Attention`], read as it reads them; then its output, and how the number changes with that.
///
/// Output 0 holds a row for each query, `[batch, heads, queries, size + 4]`, the size rounded up to groups of four: the gradient of
/// the query, zeros up to the last group, and there the greatest of its scores (the lowest float where no key is seen), one over the sum of its
/// weights, the product of its output and what that is worth, and a zero. Output 1 holds a row for each key,
/// `[batch, key heads, keys, size + value size]`, both rounded up likewise: the gradient of the key, then that of the value. Gradients
/// are those of what the views show.
#[derive(Clone, Debug)]
pub(super) struct AttentionGradient {
    /// The attention.
    pub of: Attention,
}

/// The way back through attention, see `AttentionGradient`.
pub fn attention_gradient(of: Attention) -> Arc<dyn Op> {
    Arc::new(AttentionGradient { of })
}

impl Op for AttentionGradient {
    fn name(&self) -> &'static str {
        NAME
    }

    fn attributes(&self, key: &mut Key) {
        self.of.attributes(key);
    }

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let outputs = self.of.infer(&inputs[..inputs.len().min(OUTPUT)])?;
        for k in [OUTPUT, WORTH] {
            let found = &required(NAME, inputs, k)?.ty;
            if outputs.iter().any(|output| output.ty != *found) {
                let expected = &outputs[0].ty;
                return Err(Error::invalid_model(format!("input {k} of {NAME} is {expected}, found {found}")));
            }
        }
        let g = self.of.shape_of(inputs)?;
        let dtype = required(NAME, inputs, 0)?.dtype();
        let [width, value_width] = [g.size, g.value_size].map(|size| size.next_multiple_of(4));
        Ok(vec![
            Fact::new(dtype, [g.batch, g.heads, g.queries, width + 4]),
            Fact::new(dtype, [g.batch, g.key_heads, g.keys, width + value_width]),
        ])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        gradient_reference::gradient(&self.of, inputs)
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        gradient_lower::lower(&self.of, io, offers)
    }

    fn absorb(&self, index: usize, view: &View, _base: &Fact) -> Option<Arc<dyn Op>> {
        self.of.absorbing(index, view).map(attention_gradient)
    }
}
