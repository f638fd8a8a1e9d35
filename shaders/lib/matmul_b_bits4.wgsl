// Operand B of a matrix product in packed panels of 4 bits. A group holds four rows of four columns, a column to each byte of a word
// and two rows to a word, the first in the lower halves of the bytes.
@group(0) @binding(2) var<storage, read> b: array<Two>; // [n / PANEL, k / 4, PANEL / 4]

// The lower halves of a word's bytes, and the upper ones.
fn halves(word: u32) -> vec2<u32> {
    return vec2(word, word >> 4u) & vec2(0x0f0f0f0fu);
}

// Rows k and k + 1, a byte to each of four columns; k is even.
fn two_words(place: u32, k: u32) -> vec2<u32> {
    let words = two(b[place + k / 4u * (PANEL / 4u)]);
    return halves(select(words.y, words.x, k % 4u == 0u));
}

// Rows k to k + 3, a byte to each of four columns.
fn four_words(place: u32, k: u32) -> vec4<u32> {
    let words = two(b[place + k / 4u * (PANEL / 4u)]);
    return vec4(halves(words.x), halves(words.y));
}
