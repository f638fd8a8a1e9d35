//! Where tensors lie in an arena.

/// Tensors of an arena start at multiples of so many elements: 256 bytes, WebGPU's default `minStorageBufferOffsetAlignment`.
pub const ALIGNMENT: usize = 64;

/// Places of tensors of so many elements side by side in an arena, and the elements of the whole.
pub fn side_by_side(elements: impl IntoIterator<Item = usize>) -> (Vec<usize>, usize) {
    let mut places = Vec::new();
    let mut end: usize = 0;
    for count in elements {
        places.push(end);
        end = (end + count).next_multiple_of(ALIGNMENT);
    }
    (places, end)
}
