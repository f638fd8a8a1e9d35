// Transposing copy in tiles of 32 by 32 through workgroup memory: source elements are neighbours along the last axis but
// one, destination elements along the last, and both are read and written 32 neighbours at a time.
//
// One tile per workgroup of 32 by 8 lanes; a row of the tile is padded by one element, so that the lanes of a column fall
// into different banks. Tiles are numbered row-major over the axes, the last two by tiles; the grid is one-dimensional,
// folded into y.

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
@group(0) @binding(1) var<storage, read> source: array<u32>;
@group(0) @binding(2) var<storage, read_write> destination: array<u32>;

var<workgroup> tile: array<u32, 1056>; // 32 of 33

@compute @workgroup_size(32, 8)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) lane: vec3<u32>,
) {
    let index = group.x + group.y * groups.x;
    if index >= params.count {
        return;
    }
    let rows = params.extents[(AXES - 2u) / 4u][(AXES - 2u) % 4u];
    let columns = params.extents[(AXES - 1u) / 4u][(AXES - 1u) % 4u];
    let across = (columns + 31u) / 32u;
    let down = (rows + 31u) / 32u;
    var rest = index / across;
    let first_column = (index - rest * across) * 32u;
    let above = rest / down;
    let first_row = (rest - above * down) * 32u;
    rest = above;
    var load_at = params.from_offset;
    var store_at = params.to_offset;
    for (var k = AXES - 2u; k > 0u; k -= 1u) {
        let axis = k - 1u;
        let next = rest / params.extents[axis / 4u][axis % 4u];
        let step = i32(rest - next * params.extents[axis / 4u][axis % 4u]);
        load_at += step * params.from_strides[axis / 4u][axis % 4u];
        store_at += step * params.to_strides[axis / 4u][axis % 4u];
        rest = next;
    }

    let load_row = first_row + lane.x;
    let load_step = params.from_strides[(AXES - 1u) / 4u][(AXES - 1u) % 4u];
    for (var k = lane.y; k < 32u; k += 8u) {
        let column = first_column + k;
        if load_row < rows && column < columns {
            tile[k * 33u + lane.x] = source[load_at + i32(load_row) + i32(column) * load_step];
        }
    }
    workgroupBarrier();
    let store_column = first_column + lane.x;
    let store_step = params.to_strides[(AXES - 2u) / 4u][(AXES - 2u) % 4u];
    for (var k = lane.y; k < 32u; k += 8u) {
        let row = first_row + k;
        if row < rows && store_column < columns {
            destination[store_at + i32(row) * store_step + i32(store_column)] = tile[lane.x * 33u + k];
        }
    }
}
