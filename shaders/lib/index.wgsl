// Indices that come from data.

// An index into an axis, counted from the end when negative and clamped to the axis.
fn clamped_index(index: i32, axis_extent: u32) -> u32 {
    let extent = i32(axis_extent);
    return u32(clamp(select(index, index + extent, index < 0), 0, extent - 1));
}
