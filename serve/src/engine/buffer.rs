//! Inputs of a run, joined from those of several requests, in memory that is aligned for their elements.

use crate::failure::{Failure, Result};
use bytemuck::{AnyBitPattern, NoUninit};
use bytes::Bytes;
use gristmill::{DType, Element, TensorView};
use half::{bf16, f16};

/// The elements of an input.
pub(super) enum Elements {
    /// As they came, where they are aligned.
    Shared(Bytes),
    /// Copied, in words of eight bytes; and how many bytes they are.
    Copied(Vec<u64>, usize),
}

/// An input of a run.
pub(super) struct Buffer {
    pub(super) dtype: DType,
    pub(super) shape: Vec<usize>,
    pub(super) elements: Elements,
}

/// A tensor that is longer along an axis: `outer` is the number of elements in front of the axis, `inner` the bytes of one step along it, of
/// which there are `length` and are to be `to`. What is added is made of `element`.
pub(super) fn padded(bytes: &Bytes, outer: usize, inner: usize, [length, to]: [usize; 2], element: &[u8]) -> Bytes {
    if length >= to {
        return bytes.clone();
    }
    let padding = element.repeat((to - length) * inner / element.len().max(1));
    let mut all = Vec::with_capacity(outer * to * inner);
    for index in 0..outer {
        all.extend_from_slice(&bytes[index * length * inner..(index + 1) * length * inner]);
        all.extend_from_slice(&padding);
    }
    all.into()
}

/// A tensor without what is behind `to` of `length` steps along an axis, in the same memory where nothing lies between.
pub(super) fn cut(bytes: &Bytes, outer: usize, inner: usize, [length, to]: [usize; 2]) -> Bytes {
    let place = |block: usize| block * length * inner..(block * length + to.min(length)) * inner;
    match outer {
        _ if to >= length => bytes.clone(),
        1 => bytes.slice(place(0)),
        _ => (0..outer).flat_map(|block| bytes[place(block)].iter().copied()).collect(),
    }
}

impl Elements {
    /// Joins tensors along one axis, each given with its extent there: `outer` is the number of elements in front of the axis, `inner` the
    /// bytes of one step along it. The last step is repeated until there are `filled`. One tensor that is aligned and has as many is not
    /// copied.
    pub(super) fn join(parts: &[(Bytes, usize)], outer: usize, inner: usize, filled: usize) -> Self {
        if let [(part, rows)] = parts
            && *rows == filled
            && part.as_ptr().align_offset(align_of::<u64>()) == 0
        {
            return Elements::Shared(part.clone());
        }
        let length = outer * filled * inner;
        let mut words = vec![0u64; length.div_ceil(size_of::<u64>())];
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
        for index in 0..outer {
            let mut end = index * filled * inner;
            for (part, rows) in parts {
                let size = rows * inner;
                bytes[end..end + size].copy_from_slice(&part[index * size..(index + 1) * size]);
                end += size;
            }
            let stop = (index + 1) * filled * inner;
            while inner > 0 && end >= inner && end < stop {
                bytes.copy_within(end - inner..end, end);
                end += inner;
            }
        }
        Elements::Copied(words, length)
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Elements::Shared(bytes) => bytes,
            Elements::Copied(words, length) => &bytemuck::cast_slice::<u64, u8>(words)[..*length],
        }
    }
}

impl Buffer {
    /// What a session takes.
    pub(super) fn view(&self) -> Result<TensorView<'_>> {
        match self.dtype {
            DType::F32 => self.of::<f32>(),
            DType::F16 => self.of::<f16>(),
            DType::BF16 => self.of::<bf16>(),
            DType::F64 => self.of::<f64>(),
            DType::I8 => self.of::<i8>(),
            DType::I16 => self.of::<i16>(),
            DType::I32 => self.of::<i32>(),
            DType::I64 => self.of::<i64>(),
            DType::U8 => self.of::<u8>(),
            DType::U16 => self.of::<u16>(),
            DType::U32 => self.of::<u32>(),
            DType::U64 => self.of::<u64>(),
            DType::Bool => {
                let elements = <bool as Element>::from_bytes(self.elements.bytes());
                Ok(TensorView::new(&self.shape, elements.ok_or_else(|| Failure::invalid("a bool is neither 0 nor 1"))?)?)
            }
        }
    }

    fn of<T: Element + AnyBitPattern + NoUninit>(&self) -> Result<TensorView<'_>> {
        let elements = bytemuck::try_cast_slice::<u8, T>(self.elements.bytes());
        let elements = elements.map_err(|e| Failure::internal(format!("an input is no slice of {}: {e}", self.dtype)))?;
        Ok(TensorView::new(&self.shape, elements)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(parts: &[(&Bytes, usize)], outer: usize, inner: usize, filled: usize) -> Elements {
        let parts: Vec<(Bytes, usize)> = parts.iter().map(|(bytes, rows)| ((*bytes).clone(), *rows)).collect();
        Elements::join(&parts, outer, inner, filled)
    }

    #[test]
    fn rows_are_joined_and_the_last_fills_up() {
        let (one, two) = (Bytes::from_static(&[1, 2]), Bytes::from_static(&[3, 4, 5, 6]));
        assert_eq!(join(&[(&one, 1), (&two, 2)], 1, 2, 5).bytes(), [1, 2, 3, 4, 5, 6, 5, 6, 5, 6]);
        assert_eq!(join(&[(&one, 1), (&two, 2)], 2, 1, 4).bytes(), [1, 3, 4, 4, 2, 5, 6, 6]);
        assert_eq!(Elements::join(&[], 0, 0, 0).bytes(), [0u8; 0]);
        let aligned = Bytes::from_owner(Words(vec![7; 2]));
        assert!(matches!(join(&[(&aligned, 2)], 1, 8, 2), Elements::Shared(_)), "it is not copied");
    }

    #[test]
    fn what_is_padded_is_cut_again() {
        let bytes = Bytes::from_static(&[1, 2, 3, 4, 5, 6, 7, 8]);
        let long = padded(&bytes, 2, 2, [2, 3], &[9]);
        assert_eq!(&long[..], [1, 2, 3, 4, 9, 9, 5, 6, 7, 8, 9, 9]);
        assert_eq!(cut(&long, 2, 2, [3, 2]), bytes);
        assert_eq!(&padded(&bytes, 1, 4, [2, 3], &[7, 0])[8..], [7, 0, 7, 0]);
        assert_eq!(cut(&bytes, 1, 4, [2, 1]), bytes[..4]);
        assert_eq!(padded(&bytes, 1, 4, [2, 2], &[7, 0]), bytes);
    }

    struct Words(Vec<u64>);

    impl AsRef<[u8]> for Words {
        fn as_ref(&self) -> &[u8] {
            bytemuck::cast_slice(&self.0)
        }
    }
}
