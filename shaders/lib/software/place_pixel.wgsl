// Where four columns stand in a row of the output (x), and how many of them are inside (y, four or more for all), where
// columns count groups of four pixels, QUADS to a line of `const OUTPUT_WIDTH` pixels.
fn place(column: u32) -> vec2<u32> {
    let line = column / 4u / QUADS;
    let pixel = column - line * QUADS * 4u;
    let at = line * OUTPUT_WIDTH + pixel;
    return vec2(at, select(0u, OUTPUT_WIDTH - pixel, at < params.n));
}
