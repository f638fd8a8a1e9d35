// Convolution for adapters that are a CPU, as a product of weights and unfolded pixels, both read from textures: no workgroup
// memory, no barriers; weights travel by broadcast.
//
// A workgroup is one subgroup of LANES lanes and makes ROWS (8, 16, 32 or 64) filters by 4 * LANES pixels, four neighbours of
// a line a lane. A term of a sum is a channel, a row and a column of the window. For each four terms every lane reads where their
// pixels stand, the pixels and, of each eight filters, the four weights of its own. The grid runs over filter tiles (x, so that
// neighbours share pixels), pixel tiles (y), and batches and groups (z).

struct Params {
    groups: u32,
    filters: u32, // of a group
    terms: u32,
    steps: u32,   // four terms each
    places: u32,  // where in `w` the places of the terms stand
    plane: u32,   // groups of four pixels in all unfolded channels of a group
    line: u32,    // groups of four pixels in the unfolded lines from one line of output to the next
    output_height: u32,
    output_width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
// [groups, filter tiles, steps, ROWS], four weights each, then [steps], the places of four terms each, counted from where tap 0 of
// the first channel stands
@group(0) @binding(1) var w: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var unfolded: texture_storage_2d<rgba32float, read>; // [batches, groups, plane]
@group(0) @binding(3) var<storage, read_write> output: array<Float>; // [batches, groups, filters, output_height, output_width]

// Four pixels under a term; zeros past the last term, which only steps of K_EDGE have.
fn pixels(place: u32, term: u32) -> vec4<f32> {
    let found = textureLoad(unfolded, texel(place));
    if K_EDGE == 1u {
        return select(vec4(0.0), found, term < params.terms);
    }
    return found;
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) tile: vec3<u32>, @builtin(num_workgroups) tiles: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
    let quads = (params.output_width + 3u) / 4u;
    let quad = tile.y * LANES + lane;
    let line = divide(quad, quads);
    let column = quad - line * quads;
    // Lanes past the last line read the last one.
    let start = tile.z * params.plane + min(line, params.output_height - 1u) * params.line + column;
    let group = tile.z - divide(tile.z, params.groups) * params.groups;
    // Lanes past the eighth read weights that nobody asks them for.
    var from_w = (group * tiles.x + tile.x) * params.steps * ROWS + lane % 8u;
    var sums: TileSums;
    // A broadcast, since some software adapters compile a kernel anew, at each dispatch, for the value of a parameter that alone
    // bounds a loop.
    let steps = subgroupBroadcastFirst(params.steps);
    for (var step = 0u; step < steps; step++) {
        let places = vec4(start) + vec4<u32>(textureLoad(w, texel(params.places + step)));
        let term = step * 4u;
        let block = mat4x4(
            pixels(places.x, term),
            pixels(places.y, term + 1u),
            pixels(places.z, term + 2u),
            pixels(places.w, term + 3u),
        );
        add_step(&sums, w, texel(from_w), block);
        from_w += ROWS;
    }
    if line >= params.output_height {
        return;
    }
    let first = tile.x * ROWS;
    let area = params.output_height * params.output_width;
    let at = (tile.z * params.filters + first) * area + line * params.output_width + column * 4u;
    store_tile(&sums, at, area, params.output_width - column * 4u, min(ROWS, params.filters - first));
}
