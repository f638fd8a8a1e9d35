// Operand B of a matrix product in packed panels of 8 bits. A group holds four rows of four columns, a row to a word and a column to each
// of its bytes.
@group(0) @binding(2) var<storage, read> b: array<FourBits>; // [n / PANEL, k / 4, PANEL / 4]

// Rows k and k + 1, a byte to each of four columns; k is even.
fn two_words(place: u32, k: u32) -> vec2<u32> {
    let words = four_words(place, k);
    return select(words.zw, words.xy, k % 4u == 0u);
}

// Rows k to k + 3, a byte to each of four columns.
fn four_words(place: u32, k: u32) -> vec4<u32> {
    return four_bits(b[place + k / 4u * (PANEL / 4u)]);
}
