//! The strided copy that every movement lowers to when it is not free: `output[to(i)] = input[from(i)]`.

use super::Registration;
use crate::error::{Error, Result};
use crate::kernel::{Access, Caps, Dispatch, Kernel, Operand, Parameters, Shader, params, preludes};
use crate::tensor::{MAX_RANK, View};

params! {
    /// Parameters of the copy kernels; axes are joined where both sides walk on without a gap, innermost last.
    struct CopyParams {
        extents: [u32; 8],
        from_strides: [i32; 8],
        to_strides: [i32; 8],
        from_offset: i32,
        to_offset: i32,
        count: u32,
    }
}

static COPY: Shader = Shader { name: "copy", source: include_str!("../../shaders/copy.wgsl"), params: CopyParams::FIELDS };
static COPY_GATHER: Shader =
    Shader { name: "copy_gather", source: include_str!("../../shaders/copy_gather.wgsl"), params: CopyParams::FIELDS };

/// The kernels of this file; they serve many operators and belong to none.
pub(super) static REGISTRATION: Registration = Registration { operators: &[], shaders: &[&COPY, &COPY_GATHER] };

const WORKGROUP: u32 = 64;

/// An axis that both sides walk: extent, stride of the source, stride of the destination.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Axis {
    extent: usize,
    from: i64,
    to: i64,
}

/// Two views of equal shape as the fewest axes.
fn joined(from: &View, to: &View) -> Vec<Axis> {
    let mut axes: Vec<Axis> = Vec::new();
    for (&extent, (&from, &to)) in from.shape.iter().zip(from.strides.iter().zip(&to.strides)).filter(|(d, _)| **d != 1) {
        match axes.last_mut() {
            Some(outer) if outer.from == from * extent as i64 && outer.to == to * extent as i64 => {
                *outer = Axis { extent: outer.extent * extent, from, to };
            }
            _ => axes.push(Axis { extent, from, to }),
        }
    }
    if axes.is_empty() {
        axes.push(Axis { extent: 1, from: 1, to: 1 });
    }
    axes
}

/// A dispatch that copies the elements seen through `from` to where `to` sees them; both have one shape, which has
/// elements. Works on any scalar, as all are four bytes.
///
/// # Errors
/// [`Unsupported`](crate::ErrorKind::Unsupported) when more than eight axes are left after joining.
pub(crate) fn strided(from: &View, to: &View, input: Operand, output: Operand, caps: &Caps) -> Result<Dispatch> {
    let mut axes = joined(from, to);
    if axes.len() > MAX_RANK {
        return Err(Error::unsupported(format!("a copy over {} separate axes: expected at most {MAX_RANK}", axes.len())));
    }
    let elements = from.shape.elements() as u64;
    let (mut from_offset, mut to_offset) = (from.offset, to.offset);
    let by_four = |n: i64| n % 4 == 0;
    let last = axes.len() - 1;
    let inner = axes[last];
    let stores_four = inner.extent % 4 == 0 && inner.to == 1 && by_four(to_offset) && axes[..last].iter().all(|a| by_four(a.to));
    let loads_four = inner.from == 1 && by_four(from_offset) && axes[..last].iter().all(|a| by_four(a.from));
    let kernel = |shader| Kernel::new(shader, &[Access::Read, Access::Write], [WORKGROUP, 1, 1]);
    let mut kernel = if stores_four && !loads_four {
        kernel(&COPY_GATHER)
    } else {
        kernel(&COPY).prelude(if stores_four { &preludes::WIDTH4 } else { &preludes::WIDTH1 })
    };
    if stores_four {
        axes[last].extent /= 4;
        to_offset /= 4;
        axes[..last].iter_mut().for_each(|a| a.to /= 4);
        if loads_four {
            from_offset /= 4;
            axes[..last].iter_mut().for_each(|a| a.from /= 4);
        }
    }
    kernel = kernel.set("AXES", axes.len() as u32);

    let small = |n: i64| i32::try_from(n).map_err(|_| Error::limit(format!("a stride of {n} elements exceeds 32 bits")));
    let count = axes.iter().map(|a| a.extent as u64).product::<u64>();
    let mut params = CopyParams {
        extents: [1; 8],
        from_strides: [0; 8],
        to_strides: [0; 8],
        from_offset: small(from_offset)?,
        to_offset: small(to_offset)?,
        count: u32::try_from(count).map_err(|_| Error::limit(format!("a copy of {count} elements exceeds 32 bits")))?,
    };
    for (k, axis) in axes.iter().enumerate() {
        params.extents[k] = axis.extent as u32;
        params.from_strides[k] = small(axis.from)?;
        params.to_strides[k] = small(axis.to)?;
    }
    let grid = Dispatch::linear_grid(count.div_ceil(WORKGROUP.into()), caps)?;
    Ok(Dispatch::new(kernel, params, vec![input, output], grid).work(0, elements * 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_without_gaps_are_joined() {
        let view = View::contiguous(&[2, 3, 4, 5].into()).transpose(&[1, 0, 2, 3]);
        let axes = joined(&view, &View::contiguous(&view.shape));
        assert_eq!(
            axes,
            [Axis { extent: 3, from: 20, to: 40 }, Axis { extent: 2, from: 60, to: 20 }, Axis { extent: 20, from: 1, to: 1 }]
        );
    }
}
