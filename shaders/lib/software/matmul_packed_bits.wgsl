// Operand B of a product of packed operands, few bits: two steps of four terms at a time.

// Where a lane's columns start in the panel that starts there, counted in rows of floats.
fn panel_places(start: u32, lane: u32) -> BPlaces {
    let rows = params.padded * 4u;
    return vec2(start / DEPTH, start / (rows * LANES) * ((rows + BLOCK - 1u) / BLOCK) * LANES) + lane;
}

fn panel_steps(places: BPlaces, step: u32) -> Pair {
    return b_pair(places, b_level(places, step * 4u), step * 4u);
}
