// Where four columns stand in a row of the output (x), and how many of them are inside (y, four or more for all).
fn place(column: u32) -> vec2<u32> {
    return vec2(column, select(0u, params.n - column, column < params.n));
}
