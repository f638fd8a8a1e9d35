// Takes divide (divide); width1 or width4 (Uint).
// TensorScatter: cache[outer, first + k, inner] = update[outer, k, inner], in a copy of the past cache or in that cache itself;
// `first` is the write index of the batch element.
//
// One element (width1) or four neighbours (width4) of the update per invocation, numbered row-major; the grid is
// one-dimensional, folded into y. `inner` and `count` count elements of that size. The write indices are data: a row that they
// put outside of the cache is left out.

override INDEXED: bool; // without write indices all are 0
override GUARDED: bool; // nothing is written where `fits` is 0
override CIRCULAR: bool; // rows that pass the end of the cache go on at its start

struct Params {
    shared_by: u32, // outer indices of a batch element
    capacity: u32,  // rows of the cache
    length: u32,    // rows of the update, no more than that
    inner: u32,
    count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> rows: array<Uint>;         // outer, length, inner
@group(0) @binding(2) var<storage, read> write_indices: array<i32>; // batch
@group(0) @binding(3) var<storage, read> fits: array<u32>;          // one
@group(0) @binding(4) var<storage, read_write> cache: array<Uint>;  // outer, capacity, inner

// Where a row goes, given the write index: the capacity or more where it has no place.
fn cache_row(index: i32, row: u32) -> u32 {
    if CIRCULAR {
        let capacity = i32(params.capacity);
        let rest = index % capacity;
        let place = u32(select(rest, rest + capacity, rest < 0)) + row;
        return select(place, place - params.capacity, place >= params.capacity);
    }
    return select(u32(index) + row, params.capacity, index < 0);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let place = id.x + id.y * groups.x * 64u;
    if place >= params.count || (GUARDED && fits[0] == 0u) {
        return;
    }
    let row = divide(place, params.inner);
    let outer = divide(row, params.length);
    var index = 0i;
    if INDEXED {
        index = write_indices[divide(outer, params.shared_by)];
    }
    let target_row = cache_row(index, row - outer * params.length);
    if target_row < params.capacity {
        cache[(outer * params.capacity + target_row) * params.inner + place - row * params.inner] = rows[place];
    }
}
