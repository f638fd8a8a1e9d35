// Transposing copy in blocks of 4 by 4: source elements are neighbours along the last axis but one, destination elements
// along the last. For adapters without fast workgroup memory.
//
// One block per invocation: four loads and four stores of four neighbours each, transposed in registers. Blocks are
// numbered row-major over the axes; the grid is one-dimensional, folded into y. Offsets and strides count vectors; the
// extents and strides of the last two axes are those of blocks.

@group(0) @binding(1) var<storage, read> source: array<FourBits>;
@group(0) @binding(2) var<storage, read_write> destination: array<vec4<u32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = id.x + id.y * groups.x * 64u;
    if index >= params.count {
        return;
    }
    let at = places(AXES, index);
    let a = four_bits(source[at.x]);
    let b = four_bits(source[at.x + params.from_step]);
    let c = four_bits(source[at.x + 2 * params.from_step]);
    let d = four_bits(source[at.x + 3 * params.from_step]);
    destination[at.y] = vec4<u32>(a.x, b.x, c.x, d.x);
    destination[at.y + params.to_step] = vec4<u32>(a.y, b.y, c.y, d.y);
    destination[at.y + 2 * params.to_step] = vec4<u32>(a.z, b.z, c.z, d.z);
    destination[at.y + 3 * params.to_step] = vec4<u32>(a.w, b.w, c.w, d.w);
}
