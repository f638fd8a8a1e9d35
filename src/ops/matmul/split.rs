//! Products whose k is split over workgroups, for outputs that are too small to keep a GPU busy: partial sums first, then
//! their sum ("split-K").

use crate::error::{Error, Result};
use crate::graph::Io;
use crate::kernel::{Access, AdapterClass, Caps, Dispatch, Kernel, Operand, params, shader};

params! {
    /// Parameters of `matmul_join.wgsl`.
    struct JoinParams { count: u32, parts: u32 }
}

shader!(pub(super) static SHADER: JoinParams = "matmul_join");

/// Fewer terms than these are not worth a workgroup of their own.
const LEAST_TERMS: usize = 256;

/// More parts than these cost more to add up than they win.
const MOST_PARTS: usize = 32;

/// Workgroups that keep an adapter busy.
pub(super) fn enough_workgroups(caps: &Caps) -> usize {
    match caps.class {
        AdapterClass::Discrete => 128,
        AdapterClass::Integrated => 32,
        AdapterClass::Cpu => 8,
    }
}

/// Sums of fewer terms take less than one more dispatch does.
const LONG: usize = 2048;

/// Whether splitting k wins, where `workgroups` make the product unsplit.
pub(super) fn pays(k: usize, workgroups: usize, caps: &Caps) -> bool {
    k >= LONG && workgroups < enough_workgroups(caps)
}

/// Into how many parts of how many terms to split k, where `workgroups` make the product unsplit; `None` where k is too small to
/// split. Terms are a multiple of `step`.
pub(super) fn parts(k: usize, workgroups: usize, step: usize, caps: &Caps) -> Option<(usize, usize)> {
    let wanted = enough_workgroups(caps).div_ceil(workgroups.max(1)).clamp(2, MOST_PARTS);
    let terms = k.div_ceil(wanted).max(LEAST_TERMS).next_multiple_of(step);
    let parts = k.div_ceil(terms);
    (parts > 1).then_some((parts, terms))
}

/// The dispatch that adds partial sums of an output of `elements`, `width` at a time, and calls the epilogue.
pub(super) fn join(elements: usize, parts: usize, width: u32, io: &Io, caps: &Caps) -> Result<Dispatch> {
    let count = elements / width as usize;
    let limit = || Error::limit(format!("{parts} partial sums of {elements} elements exceed 32 bits"));
    let params =
        JoinParams { count: u32::try_from(count).map_err(|_| limit())?, parts: u32::try_from(parts).map_err(|_| limit())? };
    let mut bindings = vec![Operand::Temporary(0), Operand::Output(0)];
    let kernel = Kernel::new(&SHADER, &[Access::Read, Access::Write], [64, 1, 1]);
    let kernel = io.attach_epilogue(kernel, &mut bindings, width, caps)?;
    let grid = Dispatch::linear_grid((count as u64).div_ceil(64), caps)?;
    let (flops, bytes) = ((parts * elements) as u64, 4 * ((parts + 1) * elements) as u64);
    Ok(Dispatch::new(kernel, params, bindings, grid).work(flops, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_k() {
        let caps = Caps::portable();
        for (k, workgroups) in [(4096, 1), (4096, 64), (513, 4), (70_000, 2)] {
            let (parts, terms) = parts(k, workgroups, 16, &caps).expect("k is large");
            assert!(parts * terms >= k && (parts - 1) * terms < k && terms % 16 == 0, "{k} in {parts} parts of {terms}");
        }
        assert_eq!(parts(256, 1, 16, &caps), None);
    }
}
