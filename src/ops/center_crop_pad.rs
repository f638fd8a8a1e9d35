//! CenterCropPad: axes cropped or padded with zeros about their middle. It stands for a Pad.

use super::Registration;
use super::movement::{facts, known};
use super::pad::{PadMode, pad};
use crate::error::{Error, Result};
use crate::graph::{Edit, Fact, Io, Node, Op, required};
use crate::kernel::{Caps, Lowering};
use crate::tensor::Tensor;
use std::sync::Arc;

/// The operator of this file.
pub static REGISTRATION: Registration = Registration { operators: &["CenterCropPad"], shaders: &[] };

/// ONNX CenterCropPad: input 1 holds the extents wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct CenterCropPad {
    /// The axes that input 1 speaks of; `None` for all.
    pub axes: Option<Vec<i64>>,
}

/// Crop or pad about the middle to the extents in input 1.
pub fn center_crop_pad(axes: Option<Vec<i64>>) -> Arc<dyn Op> {
    Arc::new(CenterCropPad { axes })
}

impl CenterCropPad {
    /// What Pad adds before, then after each axis.
    fn pads(&self, inputs: &[Option<&Fact>]) -> Result<Tensor> {
        let data = required("CenterCropPad", inputs, 0)?.shape();
        let wanted = known("CenterCropPad", inputs, 1)?;
        let axes = self.axes.clone().unwrap_or_else(|| (0..data.rank() as i64).collect());
        if wanted.len() != axes.len() || wanted.iter().any(|n| *n < 0) {
            return Err(Error::invalid_model(format!("CenterCropPad expects {} extents, found {wanted:?}", axes.len())));
        }
        let rank = data.rank();
        let mut pads = vec![0i64; 2 * rank];
        for (axis, wanted) in axes.iter().zip(wanted) {
            let axis = data.axis(*axis)?;
            let missing = wanted - data[axis] as i64;
            // Where the middle cannot be met, the half element lies at the end: truncating division does that both ways.
            pads[axis] = missing / 2;
            pads[rank + axis] = missing - missing / 2;
        }
        Ok(Tensor::vector(&pads))
    }
}

impl Op for CenterCropPad {
    fn name(&self) -> &'static str {
        "CenterCropPad"
    }

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let pads = Fact::of(self.pads(inputs)?);
        pad(PadMode::Constant).infer(&[inputs[0], Some(&pads)])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let facts = facts(inputs);
        let pads = self.pads(&facts.iter().map(Option::as_ref).collect::<Vec<_>>())?;
        pad(PadMode::Constant).reference(&[inputs[0], Some(&pads)])
    }

    fn candidates(&self, _: &Io, _: &Caps) -> Result<Vec<Lowering>> {
        Err(Error::unsupported("CenterCropPad is expanded before a run and has no kernel"))
    }

    fn expand(&self, node: &Node, inputs: &[Option<&Fact>], edit: &mut Edit) -> Result<Option<Vec<Node>>> {
        let pads = edit.constant("pads", self.pads(inputs)?);
        let inputs = vec![node.inputs[0], Some(pads)];
        Ok(Some(vec![Node { op: pad(PadMode::Constant), inputs, ..node.clone() }]))
    }
}
