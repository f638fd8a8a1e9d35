// An operand B of floats as one of few bits is read: no level goes with it.
alias BLevel = u32;

fn b_level(places: BPlaces, k: u32) -> BLevel {
    return 0u;
}

// Rows k to k + 3 of four columns.
fn b_leveled(places: BPlaces, level: BLevel, k: u32) -> mat4x4<f32> {
    return b_block(places, k, true);
}
