// Threefry-2x32 with 20 rounds (Salmon et al. 2011): two random words as a function of a key and a counter.

// A round.
fn threefry_mix(x: vec2<u32>, turn: u32) -> vec2<u32> {
    let sum = x.x + x.y;
    return vec2<u32>(sum, ((x.y << turn) | (x.y >> (32u - turn))) ^ sum);
}

fn threefry_even(x: vec2<u32>) -> vec2<u32> {
    return threefry_mix(threefry_mix(threefry_mix(threefry_mix(x, 13u), 15u), 26u), 6u);
}

fn threefry_odd(x: vec2<u32>) -> vec2<u32> {
    return threefry_mix(threefry_mix(threefry_mix(threefry_mix(x, 17u), 29u), 16u), 24u);
}

fn threefry(key: vec2<u32>, counter: vec2<u32>) -> vec2<u32> {
    let parity = 0x1bd11bdau ^ key.x ^ key.y;
    var x = counter + key;
    x = threefry_even(x) + vec2<u32>(key.y, parity + 1u);
    x = threefry_odd(x) + vec2<u32>(parity, key.x + 2u);
    x = threefry_even(x) + vec2<u32>(key.x, key.y + 3u);
    x = threefry_odd(x) + vec2<u32>(key.y, parity + 4u);
    return threefry_even(x) + vec2<u32>(parity, key.x + 5u);
}
