//! The form of kernels with an invocation for each element, run of elements or row.

use crate::error::{Error, Result};
use crate::kernel::{Caps, Dispatch, Kernel, Operand, Parameters, preludes};
use crate::tensor::{MAX_RANK, Scalar};
use std::fmt::Display;

/// Invocations of a workgroup of such a kernel.
pub(crate) const WORKGROUP: u32 = 64;

/// Workgroups that keep an adapter busy, as far as rows and sets go: where there are fewer of them than that, they are split.
pub(crate) const ENOUGH_WORKGROUPS: usize = 64;

/// A dispatch of `count` invocations, in workgroups of [`WORKGROUP`] along one dimension that is folded into two.
///
/// # Errors
/// [`Limit`](crate::ErrorKind::Limit) when no grid holds as many.
pub(crate) fn one_each<P: Parameters>(
    kernel: Kernel,
    params: P,
    count: usize,
    bindings: Vec<Operand>,
    caps: &Caps,
) -> Result<Dispatch> {
    let grid = Dispatch::linear_grid((count as u64).div_ceil(WORKGROUP.into()), caps)?;
    Ok(Dispatch::new(kernel, params, bindings, grid))
}

/// A number for each axis, as kernels have them among their parameters: `rest` in the places of axes that there are not.
///
/// # Errors
/// [`Unsupported`](crate::ErrorKind::Unsupported) for more axes than kernels serve, [`Limit`](crate::ErrorKind::Limit) for numbers that
/// exceed 32 bits.
pub(crate) fn axis_parameters<N: Copy + Display, T: Copy + TryFrom<N>>(
    numbers: impl IntoIterator<Item = N>,
    rest: T,
) -> Result<[T; MAX_RANK]> {
    let mut all = [rest; MAX_RANK];
    for (axis, number) in numbers.into_iter().enumerate() {
        let slot = all.get_mut(axis);
        let slot = slot.ok_or_else(|| Error::unsupported(format!("kernels serve at most {MAX_RANK} separate axes")))?;
        *slot = T::try_from(number).map_err(|_| Error::limit(format!("{number} exceeds the 32 bits that shaders count in")))?;
    }
    Ok(all)
}

/// How many neighbours a kernel moves at a time: four where everything it steps by is a multiple of four.
pub(crate) fn unit(steps: impl IntoIterator<Item = usize>) -> usize {
    if steps.into_iter().all(|step| step.is_multiple_of(4)) { 4 } else { 1 }
}

/// A kernel that moves so many neighbours at a time, see [`unit`].
pub(crate) fn in_units(kernel: Kernel, unit: usize) -> Kernel {
    kernel.prelude(if unit == 4 { &preludes::WIDTH4 } else { &preludes::WIDTH1 })
}

/// A kernel whose `Number` is a scalar type.
pub(crate) fn number(kernel: Kernel, scalar: Scalar) -> Kernel {
    match scalar {
        Scalar::F32 => kernel.prelude(&preludes::NUMBER_F32),
        Scalar::I32 => kernel.prelude(&preludes::NUMBER_I32).prelude(&preludes::NUMBER_INTEGER),
        Scalar::U32 => kernel.prelude(&preludes::NUMBER_U32).prelude(&preludes::NUMBER_INTEGER),
    }
}

/// The number by which kernels that work on bit patterns know a scalar type.
pub(crate) fn scalar_number(scalar: Scalar) -> u32 {
    match scalar {
        Scalar::F32 => 0,
        Scalar::I32 => 1,
        Scalar::U32 => 2,
    }
}
