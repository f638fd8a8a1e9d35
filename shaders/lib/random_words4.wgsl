// The random words of four neighbouring elements, those of two counters.
fn random_words(key: vec2<u32>, index: u32, stream: u32) -> Uint {
    let first = threefry(key, vec2<u32>(2u * index, stream));
    let second = threefry(key, vec2<u32>(2u * index + 1u, stream));
    return Uint(first, second);
}
