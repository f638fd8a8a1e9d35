// The products of `recurrent_gradient`: each weight that a lane reads serves TILE batch elements, and SLICES lanes share a sum, whose
// parts the first of them adds up.
var<workgroup> parts: array<vec4<f32>, PARTS>; // [SLICES - 1][OWNED * TILE][LANES]

// Products of weights and changes, by group of units of the lane and batch element.
var<private> sums: array<vec4<f32>, OWNED * TILE>;

// Makes `sums` the products with groups `begin` to `end` of the changes, in slice 0. Every lane must call.
fn multiply(lane: u32, slice: u32, begin: u32, end: u32) {
    for (var k = 0u; k < OWNED * TILE; k++) {
        sums[k] = vec4<f32>(0.0);
    }
    let start = params.direction * GATES * params.hidden;
    for (var group = begin + slice; group < end; group += SLICES) {
        var inputs: array<vec4<f32>, TILE>;
        for (var tile = 0u; tile < TILE; tile++) {
            inputs[tile] = changes[tile * GATES * UNITS + group];
        }
        let row = start + group / UNITS * params.hidden;
        for (var k = 0u; k < 4u; k++) {
            // Changes past the last unit are zero.
            let term = row + min(group % UNITS * 4u + k, params.hidden - 1u);
            for (var own = 0u; own < OWNED; own++) {
                let weight = weight_group(term, min(lane + own * LANES, UNITS - 1u));
                for (var tile = 0u; tile < TILE; tile++) {
                    sums[own * TILE + tile] += weight * inputs[tile][k];
                }
            }
        }
    }
    if SLICES == 1u {
        return;
    }
    if slice > 0u {
        for (var k = 0u; k < OWNED * TILE; k++) {
            parts[((slice - 1u) * OWNED * TILE + k) * LANES + lane] = sums[k];
        }
    }
    workgroupBarrier();
    if slice == 0u {
        for (var other = 0u; other < SLICES - 1u; other++) {
            for (var k = 0u; k < OWNED * TILE; k++) {
                sums[k] += parts[(other * OWNED * TILE + k) * LANES + lane];
            }
        }
    }
    workgroupBarrier();
}
