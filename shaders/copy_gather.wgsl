// Strided copy where only the destination has four neighbours in a row: destination[to(i)] = four elements of source,
// `from_step` apart, for i = 0 .. count groups of four.
//
// One group per invocation, numbered row-major over the joined axes; the grid is one-dimensional, folded into y. The
// innermost extent counts groups; source strides count elements, destination strides groups.

@group(0) @binding(1) var<storage, read> source: array<u32>;
@group(0) @binding(2) var<storage, read_write> destination: array<vec4<u32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = id.x + id.y * groups.x * 64u;
    if index >= params.count {
        return;
    }
    let row = row_of(index);
    let group = i32(index - row * extent_of(AXES - 1u));
    let start = places(AXES - 1u, row);
    let load_at = start.x + group * (4 * params.from_step);
    destination[start.y + group] = vec4<u32>(
        source[load_at],
        source[load_at + params.from_step],
        source[load_at + 2 * params.from_step],
        source[load_at + 3 * params.from_step],
    );
}
