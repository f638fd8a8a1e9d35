// Dropout keeps values alone.
fn store_mask(index: u32, is_kept: Bool) {
}
