// Winograd's transformed tiles in a buffer, as the right operand of a product: channels are its rows, tiles its columns.
@group(0) @binding(2) var<storage, read_write> transformed: array<f32>; // [36, groups, channels, tiles]

alias Channels = f32;

// Row y of a tile.
fn load_channels(image: u32, block: u32, y: u32, quad: u32, lane: u32) -> Six {
    let a = load_row(image * params.channels + block, y, quad, lane);
    return Six(a[0], a[1], a[2], a[3], a[4], a[5]);
}

// Where the first value of a tile stands.
fn start(group: u32, block: u32, tile: u32) -> u32 {
    return (group * params.channels + block) * params.tiles + tile;
}

// Stores value k of a tile.
fn put(first: u32, k: u32, value: Channels) {
    transformed[first + k * params.groups * params.channels * params.tiles] = value;
}
