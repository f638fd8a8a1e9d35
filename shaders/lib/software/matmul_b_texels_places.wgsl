// Where the columns of an operand B of few bits in a texture start, panels in their order.
fn b_places(start: u32, column: u32) -> BPlaces {
    return vec2(panel_place(column, panel_rows() / DEPTH), panel_place(column, (panel_rows() + BLOCK - 1u) / BLOCK));
}
