//! Writing nodes of common operators in a few words.

use super::elementwise::{binary, unary};
use super::view::strided_view;
use crate::error::Result;
use crate::graph::{ValueId, Writer};
use crate::tensor::View;

/// Words for what compositions are made of.
pub(crate) trait Compose {
    /// A scalar function of one or two values.
    fn function(&mut self, name: &str, inputs: &[ValueId]) -> Result<ValueId>;

    /// A value under another shape of as many elements.
    fn reshape(&mut self, value: ValueId, shape: &[usize]) -> Result<ValueId>;
}

impl Compose for Writer {
    fn function(&mut self, name: &str, inputs: &[ValueId]) -> Result<ValueId> {
        let op = if inputs.len() == 1 { unary(name)? } else { binary(name)? };
        self.apply(op, inputs)
    }

    fn reshape(&mut self, value: ValueId, shape: &[usize]) -> Result<ValueId> {
        self.apply(strided_view(View::contiguous(&shape.into())), &[value])
    }
}
