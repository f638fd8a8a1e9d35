//! What all operators share that only move data: an operator says where each output element stands in input 0, and the
//! shape rule, the reference, the views and the kernels follow from that.

use super::compose::Compose;
use super::copy::{self, Copy};
use super::shared::{facts, no_scalar};
use super::view::StridedView;
use crate::error::Result;
use crate::graph::{Fact, Gradient, Io, Key, Node, Op, ValueId, Writer, required};
use crate::kernel::{Offers, Operand};
use crate::tensor::{Shape, Tensor, View};
use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

/// One output of a movement: input 0 seen through `view`, whose elements in row-major order are those of an output of
/// shape `shape`. The two ranks differ where no strides can express the output under its own shape (Tile).
#[derive(Clone, Debug, PartialEq)]
pub struct Moved {
    /// Where the elements stand in input 0.
    pub view: View,
    /// The output's extents.
    pub shape: Shape,
}

impl Moved {
    /// An output whose shape is that of the view.
    pub fn new(view: View) -> Self {
        Moved { shape: view.shape.clone(), view }
    }

    /// Input 0 in its own order under another shape.
    pub fn reshaped(shape: Shape) -> Self {
        Moved::new(View::contiguous(&shape))
    }
}

/// An operator that only moves the elements of input 0. It is an [`Op`] by that.
pub trait Movement: Debug + Send + Sync + Any {
    /// The ONNX name, or the standard term where ONNX has none.
    const NAME: &'static str;

    /// As [`Op::attributes`].
    fn attributes(&self, key: &mut Key);

    /// Where each output stands in input 0.
    ///
    /// # Errors
    /// As [`Op::infer`].
    fn moves(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Moved>>;
}

impl<M: Movement> Op for M {
    fn name(&self) -> &'static str {
        M::NAME
    }

    fn attributes(&self, key: &mut Key) {
        Movement::attributes(self, key);
    }

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let data = required(M::NAME, inputs, 0)?;
        let moves = self.moves(inputs)?;
        Ok(moves.into_iter().map(|m| Fact::new(data.dtype(), m.shape).bounded(data.bounds)).collect())
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let data = required(M::NAME, inputs, 0)?;
        let facts = facts(inputs);
        let facts: Vec<Option<&Fact>> = facts.iter().map(Option::as_ref).collect();
        self.moves(&facts)?.iter().map(|m| data.gather(&m.view).reshape(m.shape.clone())).collect()
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        offer(&self.moves(&io.inputs)?, io, offers)
    }

    fn gradient(&self, node: &Node, upstream: &[Option<ValueId>], wanted: &[bool], writer: &mut Writer) -> Result<Gradient> {
        let facts: Vec<Option<Fact>> = writer.input_facts(node)?.into_iter().map(Option::<&Fact>::cloned).collect();
        let facts: Vec<Option<&Fact>> = facts.iter().map(Option::as_ref).collect();
        let shape = required(M::NAME, &facts, 0)?.shape().clone();
        let mut sum: Option<ValueId> = None;
        for (moved, worth) in self.moves(&facts)?.iter().zip(upstream) {
            let Some(worth) = *worth else { continue };
            let term = writer.view_sum(worth, &moved.view, &shape)?;
            sum = Some(match sum {
                Some(sum) => writer.function("Add", &[sum, term])?,
                None => term,
            });
        }
        let mut found = vec![None; wanted.len()];
        found.iter_mut().take(1).for_each(|first| *first = sum);
        Ok(Gradient::Inputs(found))
    }

    fn view(&self, inputs: &[Option<&Fact>], output: usize) -> Option<View> {
        let moves = self.moves(inputs).ok()?;
        let moved = moves.get(output)?;
        moved.view.reshape(&moved.shape)
    }

    fn absorb(&self, index: usize, view: &View, base: &Fact) -> Option<Arc<dyn Op>> {
        if index != 0 {
            return None;
        }
        let seen = Fact::new(base.dtype(), view.shape.clone());
        let moves = self.moves(&[Some(&seen)]).ok()?;
        let [moved] = moves.as_slice() else { return None };
        let view = moved.view.of(view)?.reshape(&moved.shape)?;
        Some(Arc::new(StridedView { view }))
    }
}

/// Offers the ways to make outputs that are parts of input 0: no work, or strided copies.
///
/// # Errors
/// As [`Op::lower`].
pub(crate) fn offer(moves: &[Moved], io: &Io, offers: &mut Offers) -> Result<()> {
    let data = io.input(0)?;
    if data.scalar().is_none() {
        return Err(no_scalar(data));
    }
    if let [only] = moves
        && only.view.is_contiguous()
        && only.view.shape.elements() == data.ty.elements()
    {
        offers.alias(0);
        return Ok(());
    }
    let wanted = |k: usize| io.used.get(k).copied().unwrap_or(true) && moves[k].shape.elements() > 0;
    let copy = |k: usize| {
        let view = &moves[k].view;
        Copy::new(view, &View::contiguous(&view.shape), [Operand::Input(0), Operand::Output(k)])
    };
    let copies: Vec<Copy> = (0..moves.len()).filter(|k| wanted(*k)).map(copy).collect();
    copy::offer(&copies, offers);
    Ok(())
}
