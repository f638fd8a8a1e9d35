//! A strided view as an operator: what chains of movements collapse to.

use super::Registration;
use super::movement::{Moved, Movement};
use crate::error::{Error, Result};
use crate::graph::{Fact, Op, required};
use crate::tensor::View;
use std::sync::Arc;

/// Output 0 is input 0 seen through a view; further inputs are ignored.
#[derive(Clone, Debug, PartialEq)]
pub struct StridedView {
    /// Where the output's elements stand in the input's buffer.
    pub view: View,
}

/// A tensor seen through a view.
pub fn strided_view(view: View) -> Arc<dyn Op> {
    Arc::new(StridedView { view })
}

/// The operator of this file.
pub static REGISTRATION: Registration = Registration { operators: &["View"], shaders: &[] };

impl Movement for StridedView {
    const NAME: &'static str = "View";

    crate::attributes!(view);

    fn moves(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Moved>> {
        let data = required(Self::NAME, inputs, 0)?;
        if self.view.shape.elements() > 0 {
            let (mut low, mut high) = (self.view.offset, self.view.offset);
            for (&extent, &stride) in self.view.shape.iter().zip(&self.view.strides) {
                let travel = stride.saturating_mul(extent as i64 - 1);
                *(if travel < 0 { &mut low } else { &mut high }) += travel;
            }
            if low < 0 || high >= data.ty.elements() as i64 {
                return Err(Error::invalid_model(format!("a view reaches elements {low} to {high} of {}", data.ty)));
            }
        }
        Ok(vec![Moved::new(self.view.clone())])
    }
}
