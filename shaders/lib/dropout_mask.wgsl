// Dropout says which elements it keeps.
@group(0) @binding(4) var<storage, read_write> mask: array<Uint>; // count

fn store_mask(index: u32, is_kept: Bool) {
    mask[index] = select(Uint(0u), Uint(1u), is_kept);
}
