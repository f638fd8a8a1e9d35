// Takes divide (divide); conv_row (Place, quads); conv_row_exchange or conv_row_alone; perhaps four_vectors or four_words;
// perhaps plane_fours or plane_elements; perhaps conv_row_direct or conv_row_fours; winograd_input_texels or
// winograd_input_floats (Channels, load_channels, put, start); perhaps texels.
// First step of Winograd's convolution F(4x4, 3x3): tiles of 6x6 input elements, which overlap by two, become 36 values
// each, B^T d B.
//
// An invocation makes one tile of as many channels as `Channels` holds; what reads the input says of which, `start`
// and `put` where the values go. Elements beside the image are zeros.

struct Params {
    planes: u32, // batches * groups * blocks, which are as many channels as `Channels` holds, or zeros
    groups: u32,
    tiles: u32,  // room for the tiles of a channel: segments() * quads() of every image, padded
    block: u32,    // tiles that lie together
    channels: u32, // of a group
    blocks: u32,   // of channels, of a group
    input_height: u32,
    input_width: u32,
    output_height: u32,
    output_width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;

// Tiles along the height: segments of a plane. Those along the width are quads.
fn segments() -> u32 {
    return (params.output_height + 3u) / 4u;
}

alias Six = array<Channels, 6>;

// B^T times a column, for the points 0, 5/8, -5/8, 3/2, -3/2 and infinity: squares of 25/64 and 9/4.
fn transform(d: Six) -> Six {
    let near_even = d[4] - 2.25 * d[2];
    let near_odd = 0.625 * (d[3] - 2.25 * d[1]);
    let far_even = d[4] - 0.390625 * d[2];
    let far_odd = 1.5 * (d[3] - 0.390625 * d[1]);
    return Six(
        0.87890625 * d[0] - 2.640625 * d[2] + d[4],
        near_even + near_odd,
        near_even - near_odd,
        far_even + far_odd,
        far_even - far_odd,
        0.87890625 * d[1] - 2.640625 * d[3] + d[5],
    );
}

fn run(at: Place, lane: u32) {
    let image = divide(at.plane, params.blocks);
    let block = at.plane - image * params.blocks;
    // Rows above the image wrap round and so fail the test against the height.
    let y = at.segment * 4u - BEGIN_HEIGHT;
    var rows: array<Six, 6>;
    for (var i = 0u; i < 6u; i++) {
        rows[i] = transform(load_channels(image, block, y + i, at.quad, lane));
    }
    if !at.owned {
        return;
    }
    let batch = divide(image, params.groups);
    let tile = (batch * segments() + at.segment) * quads() + at.quad;
    let first = start(image - batch * params.groups, block, tile);
    for (var j = 0u; j < 6u; j++) {
        let column = transform(Six(rows[0][j], rows[1][j], rows[2][j], rows[3][j], rows[4][j], rows[5][j]));
        for (var i = 0u; i < 6u; i++) {
            put(first, i * 6u + j, column[i]);
        }
    }
}
