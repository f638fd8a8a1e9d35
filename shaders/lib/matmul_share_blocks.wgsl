// What one invocation brings of B: four rows of four columns.
const B_SHARE: u32 = 4u;
alias BShare = mat4x4<f32>;

fn b_share(places: BPlaces, k: u32, edge: bool) -> BShare {
    return b_block(places, k, edge);
}
