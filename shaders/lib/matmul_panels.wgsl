// Where operand B of a matrix product stands that was packed when the model was loaded: panels of `const PANEL` columns, padded with
// zeros to whole panels and to a multiple of 32 rows.

// Rows of a panel.
fn panel_rows() -> u32 {
    return (params.k + 31u) / 32u * 32u;
}

// Where four columns start, where a panel holds so many groups of rows; a panel past the last is the last.
fn panel_place(column: u32, groups: u32) -> u32 {
    let panel = min(column / PANEL, (params.n - 1u) / PANEL);
    return panel * groups * (PANEL / 4u) + column % PANEL / 4u;
}

// Four columns of rows k to k + 3.
fn b_columns(places: BPlaces, k: u32) -> mat4x4<f32> {
    return transpose(b_block(places, k, true));
}
