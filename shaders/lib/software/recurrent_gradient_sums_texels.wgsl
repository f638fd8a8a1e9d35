// The products of `recurrent_gradient` on software adapters: weights come from a texture, and the changes of TILE (8) batch elements
// travel by broadcast within subgroups of eight lanes or more.
@group(0) @binding(9) var weight_texels: texture_storage_2d<rgba32float, read>; // [directions, GATES * hidden, UNITS]

// Products of weights and changes, by group of units of the lane and batch element.
var<private> sums: array<vec4<f32>, OWNED * TILE>;

// Makes `sums` the products with groups `begin` to `end` of the changes.
fn multiply(lane: u32, slice: u32, begin: u32, end: u32) {
    // Lanes past the eighth read a row that nobody asks them for.
    let changed = lane % 8u * GATES * UNITS;
    for (var own = 0u; own < OWNED; own++) {
        let unit = min(lane + own * LANES, UNITS - 1u);
        var at = (params.direction * GATES * params.hidden + begin * 4u) * UNITS + unit;
        var rows: Rows;
        for (var group = begin; group < end; group++) {
            let weights = mat4x4<f32>(
                textureLoad(weight_texels, texel(at)),
                textureLoad(weight_texels, texel(at + UNITS)),
                textureLoad(weight_texels, texel(at + 2u * UNITS)),
                textureLoad(weight_texels, texel(at + 3u * UNITS)),
            );
            rows = add_product(rows, changes[changed + group], weights);
            at += 4u * UNITS;
        }
        sums[own * TILE] = rows.r0;
        sums[own * TILE + 1u] = rows.r1;
        sums[own * TILE + 2u] = rows.r2;
        sums[own * TILE + 3u] = rows.r3;
        sums[own * TILE + 4u] = rows.r4;
        sums[own * TILE + 5u] = rows.r5;
        sums[own * TILE + 6u] = rows.r6;
        sums[own * TILE + 7u] = rows.r7;
    }
}
