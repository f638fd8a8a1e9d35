//! WindowSum: back from the windows of a pooling to the elements under them.

use crate::error::{Error, Result};
use crate::graph::{Fact, Io, Op, required};
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, Offers, Operand, Shader, preludes, shader};
use crate::ops::conv::{SlidingWindow, WindowAxis, WindowParams, axis_turns, taps};
use crate::ops::shared::no_scalar;
use crate::tensor::{Scalar, Shape, Tensor, TensorType, View};
use std::sync::Arc;

shader!(pub(super) static WINDOW_SUM: WindowParams = "window_sum");

shader!(pub(super) static WINDOW_SUM_CELLS: WindowParams = "window_sum_cells");

pub(super) const NAME: &str = "WindowSum";

/// For each element of a tensor over which windows slid, the sum of what the windows that cover it hold. Input 0, `[planes..., windows...]`: what each
/// holds; input 1, of its shape, which may be left out: the one element that counts, by its number in the whole tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowSum {
    /// The shape of the tensor.
    shape: Shape,
    /// How the windows slid along its last axes.
    axes: Vec<WindowAxis>,
}

/// Sums of windows over a tensor of a shape.
pub(super) fn window_sum(shape: impl Into<Shape>, axes: &[WindowAxis]) -> Arc<dyn Op> {
    Arc::new(WindowSum { shape: shape.into(), axes: axes.to_vec() })
}

/// Sums of the windows that a pooling slides over a tensor of a shape.
///
/// # Errors
/// [`InvalidModel`](crate::ErrorKind::InvalidModel) where the window does not fit the shape.
pub fn sum_of_windows(shape: &[usize], window: &SlidingWindow, ceil_mode: bool) -> Result<Arc<dyn Op>> {
    Ok(window_sum(shape, &window.resolve(&shape[shape.len().min(2)..], None, ceil_mode)?))
}

impl WindowSum {
    fn planes(&self) -> usize {
        self.shape.product(0..self.shape.rank() - self.axes.len())
    }

    /// The most iterations of an invocation: over the windows that cover an element, one loop for each axis.
    fn turns(&self) -> Result<usize> {
        axis_turns(&self.axes, |axis| (axis.kernel - 1) * axis.dilation / axis.stride + 1)
    }

    /// How many cells there are along each axis, of the extent of a stride each, where a window lies within its cell.
    fn cells(&self) -> Result<Vec<usize>> {
        let apart = |axis: &WindowAxis| axis.begin == 0 && axis.dilation == 1 && axis.kernel <= axis.stride;
        if !self.axes.iter().all(apart) || self.axes.len() > 3 {
            return Err(Error::unsupported("windows that overlap or begin beside the data"));
        }
        Ok(self.axes.iter().map(|axis| axis.input.div_ceil(axis.stride).max(axis.output)).collect())
    }

    /// One dispatch over so many elements or cells.
    fn lowering(
        &self,
        io: &Io,
        caps: &Caps,
        shader: &'static Shader,
        params: WindowParams,
        count: usize,
        turns: usize,
    ) -> Result<Lowering> {
        let chosen = io.optional(1);
        let kernel = Kernel::new(shader, &[Access::Read, Access::Read, Access::Write], [64, 1, 1])
            .prelude(&preludes::WINDOW_PARAMS)
            .prelude(&preludes::DIVIDE)
            .prelude(&preludes::VOLUME_ELEMENT)
            .set("CHOSEN", chosen.is_some().into());
        let chosen = chosen.map_or(Operand::Nothing, |_| Operand::Input(1));
        let mut bindings = vec![Operand::Input(0), chosen, Operand::Output(0)];
        let kernel = io.attach_epilogue(kernel, &mut bindings, 1, caps)?;
        let grid = Dispatch::linear_grid(count.div_ceil(64) as u64, caps)?;
        let elements = self.shape.elements();
        let bytes = 4 * (elements + 2 * io.input(0)?.ty.elements()) as u64;
        Ok(Lowering::new(vec![Dispatch::new(kernel, params, bindings, grid).turns(turns).work(elements as u64, bytes)]))
    }

    fn windows(&self) -> Vec<usize> {
        self.axes.iter().map(|axis| axis.output).collect()
    }
}

impl Op for WindowSum {
    fn name(&self) -> &'static str {
        NAME
    }

    crate::attributes!(shape, axes);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let values = required(NAME, inputs, 0)?;
        let chosen = inputs.get(1).copied().flatten();
        let held = self.planes() * self.windows().iter().product::<usize>();
        let fits = values.ty.elements() == held && chosen.is_none_or(|chosen| chosen.ty.elements() == held);
        if !fits || !values.dtype().is_float() || chosen.is_some_and(|chosen| !chosen.dtype().is_integer()) {
            let chosen = chosen.map(|chosen| format!(" and {}", chosen.ty)).unwrap_or_default();
            return Err(Error::invalid_model(format!(
                "{NAME} over {} expects {held} floats and as many places, found {}{chosen}",
                self.shape, values.ty
            )));
        }
        Ok(vec![Fact::new(values.dtype(), self.shape.clone())])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let values = required(NAME, inputs, 0)?;
        let chosen = inputs.get(1).copied().flatten().map(Tensor::to_i64);
        let extents: Vec<usize> = self.axes.iter().map(|axis| axis.input).collect();
        let (area, windows) = (extents.iter().product::<usize>(), self.windows());
        let strides = View::contiguous(&extents.as_slice().into()).strides;
        let outputs = taps(&self.axes.iter().map(|axis| WindowAxis { kernel: axis.output, ..*axis }).collect::<Vec<_>>());
        let mut sums = vec![0.0; self.shape.elements()];
        for (number, value) in values.to_f64().into_iter().enumerate() {
            let (plane, window) = (number / outputs.len(), &outputs[number % outputs.len()]);
            for tap in taps(&self.axes) {
                let along =
                    |k: usize| (window[k] * self.axes[k].stride + tap[k] * self.axes[k].dilation) as i64 - self.axes[k].begin;
                if (0..windows.len()).all(|k| (0..extents[k] as i64).contains(&along(k))) {
                    let place = plane * area + (0..windows.len()).map(|k| (along(k) * strides[k]) as usize).sum::<usize>();
                    if chosen.as_ref().is_none_or(|chosen| chosen[number] == place as i64) {
                        sums[place] += value;
                    }
                }
            }
        }
        Ok(vec![Tensor::from_f64(TensorType::new(values.dtype(), self.shape.clone()), &sums)?])
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        let (values, chosen) = (io.input(0)?, io.optional(1));
        if values.scalar() != Some(Scalar::F32) {
            return Err(no_scalar(values));
        }
        if let Some(chosen) = chosen.filter(|chosen| chosen.scalar() != Some(Scalar::I32)) {
            return Err(no_scalar(chosen));
        }
        let caps = offers.caps();
        offers.add("cells", 0, || {
            let cells = self.cells()?;
            let count = self.planes() * cells.iter().product::<usize>();
            let mut params = WindowParams::new(&self.axes, count)?;
            for (slot, cells) in params.padded_extents.iter_mut().skip(3 - cells.len()).zip(&cells) {
                *slot = i32::try_from(*cells).map_err(|_| Error::limit(format!("{cells} cells exceed 32 bits")))?;
            }
            let turns = axis_turns(&self.axes, |axis| axis.stride)?;
            self.lowering(io, caps, &WINDOW_SUM_CELLS, params, count, turns)
        });
        offers.add("direct", 1, || {
            let count = self.shape.elements();
            self.lowering(io, caps, &WINDOW_SUM, WindowParams::new(&self.axes, count)?, count, self.turns()?)
        });
        Ok(())
    }

    fn takes_epilogue(&self) -> bool {
        true
    }
}
