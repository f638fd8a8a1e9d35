// What one invocation brings of B where there are twice as many invocations as blocks: two rows of four columns.
const B_SHARE: u32 = 2u;
alias BShare = mat2x4<f32>;

fn b_share(places: BPlaces, k: u32, edge: bool) -> BShare {
    return b_half(places, k, edge);
}
