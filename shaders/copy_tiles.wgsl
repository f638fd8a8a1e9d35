// Transposing copy in tiles of 32 by 32 through workgroup memory: source elements are neighbours along the last axis but
// one, destination elements along the last, and both are read and written 32 neighbours at a time.
//
// One tile per workgroup of 32 by 8 lanes; a row of the tile is padded by one element, so that the lanes of a column fall
// into different banks. Tiles are numbered row-major over the axes, the last two by tiles; the grid is one-dimensional,
// folded into y.

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
    let rows = extent_of(AXES - 2u);
    let columns = extent_of(AXES - 1u);
    let across = (columns + 31u) / 32u;
    let down = (rows + 31u) / 32u;
    let rest = index / across;
    let first_column = (index - rest * across) * 32u;
    let above = rest / down;
    let first_row = (rest - above * down) * 32u;
    let start = places(AXES - 2u, above);

    let load_row = first_row + lane.x;
    let load_step = params.from_step;
    for (var k = lane.y; k < 32u; k += 8u) {
        let column = first_column + k;
        if load_row < rows && column < columns {
            tile[k * 33u + lane.x] = source[start.x + i32(load_row) + i32(column) * load_step];
        }
    }
    workgroupBarrier();
    let store_column = first_column + lane.x;
    let store_step = params.to_step;
    for (var k = lane.y; k < 32u; k += 8u) {
        let row = first_row + k;
        if row < rows && store_column < columns {
            destination[start.y + i32(row) * store_step + i32(store_column)] = tile[lane.x * 33u + k];
        }
    }
}
