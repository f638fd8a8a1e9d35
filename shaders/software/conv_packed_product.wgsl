// Takes row_sums (TileSums); divide (divide); texels (texel); row_steps (add_step); row_stores (store_tile); store_width1 or
// store_apart or store_width4; width1 or width4 (Float); an epilogue.
// Convolution, plain or transposed, for adapters that are a CPU, as a product of weights and pixels whose channels are packed by
// fours, both read from textures: no workgroup memory, no barriers; weights travel by broadcast.
//
// A workgroup is one subgroup of LANES lanes and makes ROWS (8, 16, 32 or 64) filters by 4 * LANES pixels, four neighbours of a
// line a lane. A step is one tap of four channels, which are the four terms that it adds: every lane reads its four pixels and,
// of each eight filters, the four weights of its own. The outputs of a transposed convolution with strides fall into PHASES_Y by
// PHASES_X phases, the outputs modulo the strides: those of one see the same taps, and are neighbours here. The grid runs over
// phases and filter tiles (x, so that neighbours share pixels), pixel tiles (y), and batches and groups (z).

override PHASES_Y: u32; // 1 where the convolution is not transposed
override PHASES_X: u32;
override PIXEL_STEP: u32; // from the pixel under a tap of one output to that of the next

struct Params {
    groups: u32,
    filters: u32, // of a group
    tiles: u32,   // of filters
    steps: u32,   // of the phase that has most
    places: u32,  // where in `w` the places of the steps stand
    plane: u32,   // packed pixels of a group of an image
    line: u32,    // packed pixels from those of one line of outputs to the next
    lines: u32,   // lines of outputs of a phase
    quads: u32,   // groups of four outputs in such a line
    output_height: u32,
    output_width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
// [groups, phases, filter tiles, steps, ROWS], weights of four channels each, then [phases, steps]: where the pixel of a step
// stands, counted from the first that an output sees, and how many steps the phase has
@group(0) @binding(1) var w: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var packed: texture_storage_2d<rgba32float, read>; // [batches, groups, plane]
@group(0) @binding(3) var<storage, read_write> output: array<Float>; // [batches, groups, filters, output_height, output_width]

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) tile: vec3<u32>, @builtin(num_workgroups) tiles: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
    let phase = divide(tile.x, params.tiles);
    let quad = tile.y * LANES + lane;
    let line = divide(quad, params.quads);
    let column = (quad - line * params.quads) * 4u;
    // Lanes past the last line read the last one.
    let start = tile.z * params.plane + min(line, params.lines - 1u) * params.line + column * PIXEL_STEP;
    let group = tile.z - divide(tile.z, params.groups) * params.groups;
    // Lanes past the eighth read weights that nobody asks them for.
    var from_w = (group * tiles.x + tile.x) * params.steps * ROWS + lane % 8u;
    let places = params.places + phase * params.steps;
    let steps = u32(textureLoad(w, texel(places)).y);
    var sums: TileSums;
    for (var step = 0u; step < steps; step++) {
        let at = start + u32(textureLoad(w, texel(places + step)).x);
        let pixels = mat4x4(
            textureLoad(packed, texel(at)),
            textureLoad(packed, texel(at + PIXEL_STEP)),
            textureLoad(packed, texel(at + 2u * PIXEL_STEP)),
            textureLoad(packed, texel(at + 3u * PIXEL_STEP)),
        );
        add_step(&sums, w, texel(from_w), transpose(pixels));
        from_w += ROWS;
    }
    let y = line * PHASES_Y + phase / PHASES_X;
    let x = column * PHASES_X + phase % PHASES_X;
    if line >= params.lines || y >= params.output_height || x >= params.output_width {
        return;
    }
    let first = (tile.x - phase * params.tiles) * ROWS;
    let area = params.output_height * params.output_width;
    let at = (tile.z * params.filters + first) * area + y * params.output_width + x;
    let inside = (params.output_width - x + PHASES_X - 1u) / PHASES_X;
    store_tile(&sums, at, area, inside, min(ROWS, params.filters - first));
}
