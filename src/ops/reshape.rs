//! The same elements in the same order under other extents: Reshape, Flatten, Squeeze, Unsqueeze and Identity. They cost
//! nothing on the GPU.

use super::Registration;
use super::movement::{Moved, Movement};
use super::shared::{known, known_optional};
use crate::error::{Error, Result};
use crate::graph::{Fact, Op, required};
use crate::tensor::Shape;
use std::sync::Arc;

/// The operators of this file.
pub static REGISTRATION: Registration =
    Registration { operators: &["Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"], shaders: &[] };

/// ONNX Reshape. Input 1 holds the extents: -1 stands for what is left, 0 for the input's extent at that place.
#[derive(Clone, Debug, PartialEq)]
pub struct Reshape {
    /// The attribute `allowzero`: 0 is an extent of zero.
    pub allow_zero: bool,
}

/// Reshape to the extents in input 1.
pub fn reshape(allow_zero: bool) -> Arc<dyn Op> {
    Arc::new(Reshape { allow_zero })
}

impl Movement for Reshape {
    const NAME: &'static str = "Reshape";

    crate::attributes!(allow_zero);

    fn moves(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Moved>> {
        let data = required(Self::NAME, inputs, 0)?;
        let wanted = known(Self::NAME, inputs, 1)?;
        let error = || Error::invalid_model(format!("{} cannot be reshaped to {wanted:?}", data.ty));
        let mut dims = Vec::with_capacity(wanted.len());
        let mut open = None;
        for (k, &n) in wanted.iter().enumerate() {
            dims.push(match n {
                0 if !self.allow_zero => *data.shape().get(k).ok_or_else(error)?,
                -1 if open.is_none() => {
                    open = Some(k);
                    1
                }
                _ => usize::try_from(n).map_err(|_| error())?,
            });
        }
        if let Some(k) = open {
            let rest = Shape::from(dims.as_slice()).elements();
            dims[k] = data.ty.elements().checked_div(rest).ok_or_else(error)?;
        }
        let shape = Shape::from(dims);
        if shape.elements() != data.ty.elements() {
            return Err(error());
        }
        Ok(vec![Moved::reshaped(shape)])
    }
}

/// ONNX Flatten: a matrix whose rows are the axes before `axis` and whose columns are the others.
#[derive(Clone, Debug, PartialEq)]
pub struct Flatten {
    /// The first axis of a row; it may be the rank itself.
    pub axis: i64,
}

/// Flatten to a matrix.
pub fn flatten(axis: i64) -> Arc<dyn Op> {
    Arc::new(Flatten { axis })
}

impl Movement for Flatten {
    const NAME: &'static str = "Flatten";

    crate::attributes!(axis);

    fn moves(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Moved>> {
        let shape = required(Self::NAME, inputs, 0)?.shape();
        let axis = if self.axis == shape.rank() as i64 { shape.rank() } else { shape.axis(self.axis)? };
        Ok(vec![Moved::reshaped([shape.product(0..axis), shape.product(axis..shape.rank())].into())])
    }
}

/// ONNX Squeeze: extents of 1 left out; input 1, where given, says which.
#[derive(Clone, Debug, PartialEq)]
pub struct Squeeze;

/// Squeeze the axes in input 1, or all extents of 1 without it.
pub fn squeeze() -> Arc<dyn Op> {
    Arc::new(Squeeze)
}

impl Movement for Squeeze {
    const NAME: &'static str = "Squeeze";

    crate::attributes!();

    fn moves(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Moved>> {
        let shape = required(Self::NAME, inputs, 0)?.shape();
        let mut drop: Vec<bool> = shape.iter().map(|d| *d == 1).collect();
        if let Some(axes) = known_optional(Self::NAME, inputs, 1)? {
            drop.fill(false);
            for axis in axes {
                let k = shape.axis(axis)?;
                if shape[k] != 1 {
                    return Err(Error::invalid_model(format!(
                        "axis {axis} of {shape} cannot be squeezed: expected an extent of 1"
                    )));
                }
                drop[k] = true;
            }
        }
        let kept: Vec<usize> = shape.iter().zip(&drop).filter(|(_, drop)| !**drop).map(|(d, _)| *d).collect();
        Ok(vec![Moved::reshaped(kept.into())])
    }
}

/// ONNX Unsqueeze: extents of 1 inserted, so that they stand at the axes in input 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Unsqueeze;

/// Unsqueeze at the axes in input 1.
pub fn unsqueeze() -> Arc<dyn Op> {
    Arc::new(Unsqueeze)
}

impl Movement for Unsqueeze {
    const NAME: &'static str = "Unsqueeze";

    crate::attributes!();

    fn moves(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Moved>> {
        let shape = required(Self::NAME, inputs, 0)?.shape();
        let axes = known(Self::NAME, inputs, 1)?;
        let mut dims = vec![None; shape.rank() + axes.len()];
        let places = Shape::new(vec![1; dims.len()]);
        for axis in &axes {
            if dims[places.axis(*axis)?].replace(1).is_some() {
                return Err(Error::invalid_model(format!("expected distinct axes to unsqueeze, found {axes:?}")));
            }
        }
        let mut rest = shape.iter().copied();
        let dims: Vec<usize> = dims.into_iter().filter_map(|d| d.or_else(|| rest.next())).collect();
        Ok(vec![Moved::reshaped(dims.into())])
    }
}

/// ONNX Identity.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity;

/// The input itself.
pub fn identity() -> Arc<dyn Op> {
    Arc::new(Identity)
}

impl Movement for Identity {
    const NAME: &'static str = "Identity";

    crate::attributes!();

    fn moves(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Moved>> {
        Ok(vec![Moved::reshaped(required(Self::NAME, inputs, 0)?.shape().clone())])
    }
}
