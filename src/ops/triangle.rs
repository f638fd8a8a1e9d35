//! Trilu: the upper or lower triangle of matrices, zero elsewhere.

use super::Registration;
use super::shared::{WORKGROUP, no_scalar, one_each, pick, union};
use crate::error::{Error, Result};
use crate::graph::{Fact, Gradient, Io, Node, Op, ValueId, Writer, required};
use crate::kernel::{Access, Kernel, Lowering, Offers, Operand, params, shader, u32s};
use crate::tensor::Tensor;
use std::sync::Arc;

params! {
    /// Parameters of `trilu.wgsl`.
    struct TriluParams {
        rows: u32,
        columns: u32,
        count: u32,
        diagonal: i32,
    }
}

shader!(static TRILU: TriluParams = "trilu");

/// The operator of this file.
pub static REGISTRATION: Registration = Registration { operators: &["Trilu"], shaders: &[&TRILU] };

/// ONNX Trilu: the last two axes are matrices; input 1, where given, names the diagonal at which the triangle starts.
#[derive(Clone, Debug, PartialEq)]
pub struct Trilu {
    /// Keep what is on and above the diagonal, instead of on and below it.
    pub upper: bool,
}

/// The upper or lower triangle of matrices.
pub fn trilu(upper: bool) -> Arc<dyn Op> {
    Arc::new(Trilu { upper })
}

impl Op for Trilu {
    fn name(&self) -> &'static str {
        "Trilu"
    }

    crate::attributes!(upper);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let data = required("Trilu", inputs, 0)?;
        if data.shape().rank() < 2 {
            return Err(Error::invalid_model(format!("Trilu expects a rank of at least 2, found {}", data.ty)));
        }
        Ok(vec![Fact { ty: data.ty.clone(), value: None, bounds: union(data.bounds(), Some((0, 0))) }])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let data = required("Trilu", inputs, 0)?;
        let diagonal = inputs.get(1).copied().flatten().and_then(|k| k.to_i128().first().copied()).unwrap_or(0);
        let rank = data.shape().rank();
        let (rows, columns) = (data.shape()[rank - 2], data.shape()[rank - 1]);
        let kept = |place: &usize| {
            let offset = (place % columns) as i128 - (place / columns % rows) as i128;
            if self.upper { offset >= diagonal } else { offset <= diagonal }
        };
        let positions = (0..data.elements()).map(|place| Some(place).filter(kept));
        Ok(vec![pick(data, None, data.shape(), positions)?])
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        let data = io.input(0)?;
        if data.scalar().is_none() {
            return Err(no_scalar(data));
        }
        let diagonal = match io.optional(1).map(|k| &k.value) {
            None => 0,
            Some(Some(value)) => value.to_i64().first().copied().unwrap_or(0),
            Some(None) => return Err(Error::unsupported("the diagonal of Trilu is not known before the run")),
        };
        // Beyond the extents of a matrix all diagonals are alike.
        let diagonal = diagonal.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
        let caps = offers.caps();
        offers.only("trilu", || {
            let rank = data.shape().rank();
            let [rows, columns, count] = u32s([data.shape()[rank - 2], data.shape()[rank - 1], data.ty.elements()])?;
            let params = TriluParams { rows, columns, count, diagonal };
            let kernel = Kernel::new(&TRILU, &[Access::Read, Access::Write], [WORKGROUP, 1, 1]).set("UPPER", self.upper.into());
            let dispatch = one_each(kernel, params, data.ty.elements(), vec![Operand::Input(0), Operand::Output(0)], caps)?;
            Ok(Lowering::new(vec![dispatch.work(0, 2 * data.gpu_bytes())]))
        });
        Ok(())
    }

    fn gradient(&self, node: &Node, upstream: &[Option<ValueId>], _: &[bool], writer: &mut Writer) -> Result<Gradient> {
        let Some(worth) = upstream.first().copied() else { return Ok(Gradient::Zero) };
        let mut inputs = node.inputs.clone();
        inputs.iter_mut().take(1).for_each(|data| *data = worth);
        let found = writer.apply_all(Arc::new(self.clone()), &inputs, 1)?;
        Ok(Gradient::Inputs(found.into_iter().map(Some).collect()))
    }
}
