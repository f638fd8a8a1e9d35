//! Whether an adapter can run a variant at all.

use super::{Caps, Dispatch, Kernel, Lowering};
use crate::error::{Error, Result};

impl Lowering {
    /// Holds all launches, and the scratch between them, against the adapter's limits.
    ///
    /// # Errors
    /// As [`Dispatch::fits`]; [`Limit`](crate::ErrorKind::Limit) with the bytes of a temporary that cannot be bound.
    pub fn fits(&self, caps: &Caps) -> Result<()> {
        self.launches().iter().try_for_each(|dispatch| dispatch.fits(caps))?;
        let Lowering::Dispatches { temporaries, .. } = self else { return Ok(()) };
        let limit = caps.max_storage_binding.min(caps.max_buffer);
        match temporaries.iter().find(|bytes| **bytes > limit) {
            Some(bytes) => Err(Error::limit(format!("{bytes} bytes of scratch exceed the {limit} that the adapter can bind"))),
            None => Ok(()),
        }
    }
}

impl Dispatch {
    /// Holds grid, loops, workgroup and bindings against the adapter's limits.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) with the limit that is exceeded; [`Internal`](crate::ErrorKind::Internal) when
    /// kernel and dispatch do not agree on the bindings.
    pub fn fits(&self, caps: &Caps) -> Result<()> {
        let kernel = &self.kernel;
        let (declared, bound) = (kernel.storage.len(), self.bindings.len());
        if declared != bound {
            let name = kernel.shader.name;
            return Err(Error::internal(format!("shader {name} declares {declared} storage bindings, found {bound}")));
        }
        let buffers = kernel.storage.iter().filter(|access| access.is_storage()).count();
        if buffers > caps.max_storage_buffers as usize {
            let limit = caps.max_storage_buffers;
            return Err(Error::unsupported(format!("{buffers} storage buffers exceed the adapter's limit of {limit}")));
        }
        if let Some(extent) = self.grid.iter().find(|extent| **extent > caps.max_grid) {
            return Err(Error::unsupported(format!("a grid extent of {extent} exceeds the adapter's limit of {}", caps.max_grid)));
        }
        if self.turns > u64::from(caps.max_loop) {
            let (turns, limit) = (self.turns, caps.max_loop);
            return Err(Error::unsupported(format!("loops of {turns} iterations exceed the adapter's limit of {limit}")));
        }
        kernel.fits(caps)
    }
}

impl Kernel {
    /// Holds workgroups against the adapter's limits.
    fn fits(&self, caps: &Caps) -> Result<()> {
        let beyond = |what: String, limit: &dyn std::fmt::Debug| {
            let name = self.shader.name;
            Err(Error::unsupported(format!("shader {name}: {what} exceed the adapter's limit of {limit:?}")))
        };
        let invocations = self.workgroup.iter().map(|n| u64::from(*n)).product::<u64>();
        if invocations > u64::from(caps.max_invocations) {
            return beyond(format!("workgroups of {invocations} invocations"), &caps.max_invocations);
        }
        if self.workgroup.iter().zip(caps.max_workgroup).any(|(found, most)| *found > most) {
            return beyond(format!("workgroups of {:?} invocations", self.workgroup), &caps.max_workgroup);
        }
        // Memory of a size that cannot be read off the text is left to the device to refuse.
        match self.workgroup_bytes() {
            Some(bytes) if bytes > u64::from(caps.max_workgroup_storage) => {
                beyond(format!("{bytes} bytes of workgroup memory"), &caps.max_workgroup_storage)
            }
            _ => Ok(()),
        }
    }
}
