// The random word of an element: elements 2k and 2k + 1 have the two of counter k.
fn random_words(key: vec2<u32>, index: u32, stream: u32) -> Uint {
    let words = threefry(key, vec2<u32>(index / 2u, stream));
    return select(words.x, words.y, index % 2u == 1u);
}
