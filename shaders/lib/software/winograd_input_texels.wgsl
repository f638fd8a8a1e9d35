// Winograd's transformed tiles in a texture, four channels a texel, as operands that travel by broadcast: tiles in blocks of
// `block`.
@group(0) @binding(2) var transformed: texture_storage_2d<rgba32float, write>; // [groups, tile blocks, blocks, 36, block]

alias Channels = vec4<f32>;

fn load_channel(image: u32, channel: u32, y: u32, quad: u32, lane: u32) -> Row {
    // Channels past the last are zeros, as rows past the last are.
    return load_row(image * params.channels + channel, select(params.input_height, y, channel < params.channels), quad, lane);
}

// Row y of a tile.
fn load_channels(image: u32, block: u32, y: u32, quad: u32, lane: u32) -> Six {
    let a = load_channel(image, block * 4u, y, quad, lane);
    let b = load_channel(image, block * 4u + 1u, y, quad, lane);
    let c = load_channel(image, block * 4u + 2u, y, quad, lane);
    let d = load_channel(image, block * 4u + 3u, y, quad, lane);
    return Six(
        vec4(a[0], b[0], c[0], d[0]),
        vec4(a[1], b[1], c[1], d[1]),
        vec4(a[2], b[2], c[2], d[2]),
        vec4(a[3], b[3], c[3], d[3]),
        vec4(a[4], b[4], c[4], d[4]),
        vec4(a[5], b[5], c[5], d[5]),
    );
}

// Where the first value of a tile stands.
fn start(group: u32, block: u32, tile: u32) -> u32 {
    let number = divide(tile, params.block);
    return ((group * divide(params.tiles, params.block) + number) * params.blocks + block) * 36u * params.block + tile - number * params.block;
}

// Stores value k of a tile.
fn put(first: u32, k: u32, value: Channels) {
    textureStore(transformed, texel(first + k * params.block), value);
}
