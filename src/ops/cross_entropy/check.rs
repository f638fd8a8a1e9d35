//! CheckClasses: whether labels that are data name classes.

use super::super::row_workgroup::RowWorkgroup;
use super::super::shared::no_scalar;
use crate::error::{Error, Result};
use crate::graph::{Fact, Io, Op, required};
use crate::kernel::{Access, Dispatch, Kernel, Lowering, Offers, Operand, params, shader, u32s};
use crate::tensor::{DType, Scalar, Tensor};
use std::sync::Arc;

params! {
    /// Parameters of `check_classes.wgsl`.
    struct CheckClassesParams {
        classes: u32,
        count: u32,
        ignored: i32,
    }
}

shader!(pub(super) static CHECK_CLASSES: CheckClassesParams = "check_classes");

pub(super) const NAME: &str = "CheckClasses";

/// Whether each label of input 0 names one of so many classes, or is the one that is ignored: one bool. A run in which one does not fails,
/// see [`Op::check`]. CrossEntropy is made of this and of what computes.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckClasses {
    /// How many classes there are.
    pub classes: usize,
    /// The label that stands for none of them.
    pub ignore_index: Option<i64>,
}

/// Whether each label of input 0 names one of so many classes, or is the one that is ignored.
pub fn check_classes(classes: usize, ignore_index: Option<i64>) -> Arc<dyn Op> {
    Arc::new(CheckClasses { classes, ignore_index })
}

impl CheckClasses {
    /// The first label that names no class.
    fn wrong(&self, labels: &[i64]) -> Option<i64> {
        let classes = 0..self.classes as i64;
        labels.iter().copied().find(|label| !classes.contains(label) && Some(*label) != self.ignore_index)
    }

    /// Fails where a label names no class.
    pub(super) fn checked(&self, labels: &[i64]) -> Result<()> {
        match self.wrong(labels) {
            None => Ok(()),
            Some(label) => Err(Error::invalid_input(format!("label {label} names none of {} classes", self.classes))),
        }
    }
}

/// The label that is ignored, where labels of 32 bits can be it.
pub(super) fn ignored(ignore_index: Option<i64>) -> Option<i32> {
    ignore_index.and_then(|index| i32::try_from(index).ok())
}

impl Op for CheckClasses {
    fn name(&self) -> &'static str {
        NAME
    }

    crate::attributes!(classes, ignore_index);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let labels = required(NAME, inputs, 0)?;
        if !matches!(labels.dtype(), DType::I32 | DType::I64) {
            return Err(Error::invalid_model(format!("{NAME} expects i32 or i64, found {}", labels.ty)));
        }
        let fits = labels.bounds.is_some_and(|(low, high)| low >= 0 && high < self.classes as i128);
        Ok(vec![if fits { Fact::of(Tensor::scalar(true)) } else { Fact::new(DType::Bool, []) }])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        self.checked(&required(NAME, inputs, 0)?.to_i64())?;
        Ok(vec![Tensor::scalar(true)])
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        let labels = io.input(0)?;
        if labels.scalar() != Some(Scalar::I32) {
            return Err(no_scalar(labels));
        }
        let caps = offers.caps();
        offers.only("one", || {
            let count = labels.ty.elements();
            let [classes, elements] = u32s([self.classes, count])?;
            let ignored = ignored(self.ignore_index);
            let params = CheckClassesParams { classes, count: elements, ignored: ignored.unwrap_or(0) };
            let workgroup = RowWorkgroup::for_items(count, caps);
            let kernel = Kernel::new(&CHECK_CLASSES, &[Access::Read, Access::Write], [workgroup.lanes, 1, 1]);
            let kernel = workgroup.reduces(kernel).set("IGNORES", ignored.is_some().into());
            let dispatch = Dispatch::new(kernel, params, vec![Operand::Input(0), Operand::Output(0)], [1, 1, 1]);
            Ok(Lowering::new(vec![dispatch.turns(count.div_ceil(workgroup.lanes as usize))]))
        });
        Ok(())
    }

    fn check(&self) -> Option<String> {
        Some(format!("a label names none of {} classes", self.classes))
    }
}
