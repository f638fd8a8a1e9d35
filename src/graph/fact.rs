//! What is known of a value before a run.

use crate::kernel::Bounds;
use crate::tensor::{DType, Scalar, Shape, Tensor, TensorType};
use std::fmt;

/// Type, and where known the contents or bounds, of a value.
#[derive(Clone, PartialEq)]
pub struct Fact {
    /// Element type and shape.
    pub ty: TensorType,
    /// The contents, when they do not depend on a run.
    pub value: Option<Tensor>,
    /// Bounds of an integer tensor; `None` is the whole range of its dtype.
    pub bounds: Option<Bounds>,
}

impl Fact {
    /// A value of which only the type is known.
    pub fn new(dtype: DType, shape: impl Into<Shape>) -> Self {
        Fact { ty: TensorType::new(dtype, shape), value: None, bounds: None }
    }

    /// A value that is known.
    pub fn of(value: Tensor) -> Self {
        let bounds = if value.dtype().is_float() {
            None
        } else {
            let all = value.to_i128();
            all.iter().min().copied().zip(all.iter().max().copied())
        };
        Fact { ty: value.ty().clone(), value: Some(value), bounds }
    }

    /// Adds bounds.
    pub fn bounded(mut self, bounds: Option<Bounds>) -> Self {
        self.bounds = bounds;
        self
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.ty.dtype
    }

    /// The shape.
    pub fn shape(&self) -> &Shape {
        &self.ty.shape
    }

    /// Bounds of an integer or bool value, the whole range of its dtype if nothing better is known; `None` for floats.
    pub fn bounds(&self) -> Option<Bounds> {
        self.bounds.or_else(|| self.dtype().range())
    }

    /// The element type it has in a storage buffer, or `None` when it can only live on the host: f64, and 64-bit (or
    /// unsigned 32-bit) integers whose bounds are not known to fit.
    pub fn scalar(&self) -> Option<Scalar> {
        let fits = |(low, high): Bounds, range: (i128, i128)| low >= range.0 && high <= range.1;
        match self.dtype() {
            DType::F32 | DType::F16 | DType::BF16 => Some(Scalar::F32),
            DType::I8 | DType::I16 | DType::I32 => Some(Scalar::I32),
            DType::U8 | DType::U16 | DType::U32 | DType::Bool => Some(Scalar::U32),
            DType::I64 => fits(self.bounds()?, (i32::MIN.into(), i32::MAX.into())).then_some(Scalar::I32),
            DType::U64 => fits(self.bounds()?, (0, u32::MAX.into())).then_some(Scalar::U32),
            DType::F64 => None,
        }
    }

    /// Bytes of a storage buffer that holds it.
    pub fn gpu_bytes(&self) -> u64 {
        (self.ty.elements() as u64).saturating_mul(4)
    }
}

impl fmt::Debug for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.ty)?;
        if let Some((low, high)) = self.bounds {
            write!(f, " in {low}..={high}")?;
        }
        Ok(())
    }
}
