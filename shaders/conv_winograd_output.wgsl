// Takes winograd_sums_texels or winograd_sums_floats (Filters, TOGETHER, load_sum, one, spot); divide (divide); store_width1 or
// store_width4 (store_four); width1 or width4 (Float); perhaps texels; an epilogue.
// Last step of Winograd's convolution F(4x4, 3x3): the sums over channels of the 36 values of a tile become its 4x4 output
// elements, A^T m A.
//
// An invocation makes one tile of as many filters as `Filters` holds, numbered as the sums lie: `spot` says of which, `load_sum`
// reads a sum. The grid is one-dimensional, folded into y.

struct Params {
    groups: u32,
    filters: u32, // of a group
    tiles: u32,   // of every image
    rows: u32,    // two extents of the sums
    columns: u32,
    count: u32,   // invocations
    block: u32,   // tiles that lie together
    output_height: u32,
    output_width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read_write> output: array<Float>; // [batches, groups, filters, output_height, output_width]

// A tile of a group, the first of the filters that are meant, and where the first of their sums stands.
struct Spot {
    group: u32,
    filter_index: u32,
    tile: u32,
    first: u32,
}

alias Pixels = array<Filters, 4>;

// A^T times a column, for the points 0, 5/8, -5/8, 3/2, -3/2 and infinity.
fn transform(m0: Filters, m1: Filters, m2: Filters, m3: Filters, m4: Filters, m5: Filters) -> Pixels {
    let near = m1 + m2;
    let near_odd = m1 - m2;
    let far = m3 + m4;
    let far_odd = m3 - m4;
    return Pixels(
        m0 + near + far,
        0.625 * near_odd + 1.5 * far_odd,
        0.390625 * near + 2.25 * far,
        0.244140625 * near_odd + 3.375 * far_odd + m5,
    );
}

// One of four, without an index into registers.
fn pick(column: Pixels, i: u32) -> Filters {
    return select(select(column[0], column[1], i == 1u), select(column[2], column[3], i == 3u), i > 1u);
}

fn load_column(first: u32, j: u32) -> Pixels {
    return transform(
        load_sum(first, j),
        load_sum(first, j + 6u),
        load_sum(first, j + 12u),
        load_sum(first, j + 18u),
        load_sum(first, j + 24u),
        load_sum(first, j + 30u),
    );
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = id.x + id.y * groups.x * 64u;
    let at = spot(index);
    if index >= params.count || at.tile >= params.tiles || at.filter_index >= params.filters {
        return;
    }
    let c0 = load_column(at.first, 0u);
    let c1 = load_column(at.first, 1u);
    let c2 = load_column(at.first, 2u);
    let c3 = load_column(at.first, 3u);
    let c4 = load_column(at.first, 4u);
    let c5 = load_column(at.first, 5u);
    // Tiles along the width and the height.
    let across = (params.output_width + 3u) / 4u;
    let down = (params.output_height + 3u) / 4u;
    let line = divide(at.tile, across);
    let batch = divide(line, down);
    let x = (at.tile - line * across) * 4u;
    let y = (line - batch * down) * 4u;
    let plane = (batch * params.groups + at.group) * params.filters + at.filter_index;
    // Where several filters are together, rows and filters end at bounds that nothing unrolls: the epilogue is written out once.
    var rows = 4u;
    var filters = 1u;
    if TOGETHER > 1u {
        rows = min(4u, params.output_height - y);
        filters = min(TOGETHER, params.filters - at.filter_index);
    }
    for (var i = 0u; i < rows; i++) {
        if y + i >= params.output_height {
            return;
        }
        let row = transform(pick(c0, i), pick(c1, i), pick(c2, i), pick(c3, i), pick(c4, i), pick(c5, i));
        for (var f = 0u; f < filters; f++) {
            let pixels = vec4(one(row[0], f), one(row[1], f), one(row[2], f), one(row[3], f));
            let line = ((plane + f) * params.output_height + y + i) * params.output_width;
            store_four(line + x, params.output_width - x, pixels);
        }
    }
}
