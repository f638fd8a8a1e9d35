//! Parameter structs: declared once in Rust, compared with the shader's `struct Params` by the contract test.

use crate::error::{Error, Result};
use crate::tensor::Scalar;

/// One field of a parameter struct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// The name in both languages.
    pub name: &'static str,
    /// Its scalar type.
    pub scalar: Scalar,
    /// 1 for a scalar; a multiple of 4 for an array, which WGSL sees as `array<vec4<T>, count / 4>` (or
    /// `vec4<T>` for 4).
    pub count: usize,
    /// Bytes from the start of the struct.
    pub offset: usize,
}

/// A `repr(C)` struct of 4-byte scalars that is the uniform of a kernel.
pub trait Parameters: bytemuck::Pod {
    /// Name and place of each field.
    const FIELDS: &'static [Field];
}

/// A type that may stand in a parameter struct.
pub trait Cell {
    /// Its scalar type.
    const SCALAR: Scalar;
    /// Its number of scalars.
    const COUNT: usize;
}

impl Cell for u32 {
    const SCALAR: Scalar = Scalar::U32;
    const COUNT: usize = 1;
}
impl Cell for i32 {
    const SCALAR: Scalar = Scalar::I32;
    const COUNT: usize = 1;
}
impl Cell for f32 {
    const SCALAR: Scalar = Scalar::F32;
    const COUNT: usize = 1;
}
impl<T: Cell, const N: usize> Cell for [T; N] {
    const SCALAR: Scalar = T::SCALAR;
    const COUNT: usize = N;
}

/// Declares a parameter struct: the Pod type and its field table. Arrays come first, so that both languages agree on
/// offsets (a WGSL array is aligned to 16 bytes).
macro_rules! params {
    ($(#[$meta:meta])* $vis:vis struct $name:ident { $($field:ident: $ty:ty),* $(,)? }) => {
        $(#[$meta])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
        $vis struct $name { $($vis $field: $ty),* }
        impl $crate::kernel::Parameters for $name {
            const FIELDS: &'static [$crate::kernel::Field] = &[$($crate::kernel::Field {
                name: stringify!($field),
                scalar: <$ty as $crate::kernel::Cell>::SCALAR,
                count: <$ty as $crate::kernel::Cell>::COUNT,
                offset: std::mem::offset_of!($name, $field),
            }),*];
        }
    };
}
pub(crate) use params;

/// Numbers as shaders count, in 32 bits: `let [rows, columns] = u32s([rows, columns])?`.
///
/// # Errors
/// [`Limit`](crate::ErrorKind::Limit) with the number that is too large.
pub fn u32s<const N: usize>(numbers: [usize; N]) -> Result<[u32; N]> {
    match numbers.iter().find(|n| u32::try_from(**n).is_err()) {
        Some(n) => Err(Error::limit(format!("{n} exceeds the 32 bits that shaders count in"))),
        // Lossless, as each was tried.
        None => Ok(numbers.map(|n| n as u32)),
    }
}
