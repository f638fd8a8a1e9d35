// Transposing copy in blocks of 4 by 4: source elements are neighbours along the last axis but one, destination elements
// along the last. For adapters without fast workgroup memory.
//
// One block per invocation: four loads and four stores of four neighbours each, transposed in registers. Blocks are
// numbered row-major over the axes; the grid is one-dimensional, folded into y. Offsets and strides count vectors; the
// extents and strides of the last two axes are those of blocks.

override AXES: u32;

struct Params {
    extents: array<vec4<u32>, 2>,
    from_strides: array<vec4<i32>, 2>,
    to_strides: array<vec4<i32>, 2>,
    from_offset: i32,
    to_offset: i32,
    count: u32,
    inner: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<FourBits>;
@group(0) @binding(2) var<storage, read_write> destination: array<vec4<u32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = id.x + id.y * groups.x * 64u;
    if index >= params.count {
        return;
    }
    var load_at = params.from_offset;
    var store_at = params.to_offset;
    var rest = index;
    for (var k = AXES; k > 0u; k -= 1u) {
        let axis = k - 1u;
        var next = 0u;
        if axis > 0u {
            next = divide(rest, params.extents[axis / 4u][axis % 4u]);
        }
        let step = i32(rest - next * params.extents[axis / 4u][axis % 4u]);
        load_at += step * params.from_strides[axis / 4u][axis % 4u];
        store_at += step * params.to_strides[axis / 4u][axis % 4u];
        rest = next;
    }
    let load_step = params.from_strides[(AXES - 1u) / 4u][(AXES - 1u) % 4u] / 4;
    let store_step = params.to_strides[(AXES - 2u) / 4u][(AXES - 2u) % 4u] / 4;
    let a = four_bits(source[load_at]);
    let b = four_bits(source[load_at + load_step]);
    let c = four_bits(source[load_at + 2 * load_step]);
    let d = four_bits(source[load_at + 3 * load_step]);
    destination[store_at] = vec4<u32>(a.x, b.x, c.x, d.x);
    destination[store_at + store_step] = vec4<u32>(a.y, b.y, c.y, d.y);
    destination[store_at + 2 * store_step] = vec4<u32>(a.z, b.z, c.z, d.z);
    destination[store_at + 3 * store_step] = vec4<u32>(a.w, b.w, c.w, d.w);
}
