// TopK: the k largest (or smallest) elements along an axis in order, and their indices.
//
// One workgroup per row (all elements that differ in nothing but the axis), k rounds: each lane searches every 64th element
// for the best that comes after the previous round's, then the workgroup agrees on one. Order is that of keys: bit
// patterns made comparable as u32, with NaN the largest; among equals the lower index comes first.

override SCALAR: u32; // 0: f32, 1: i32, 2: u32
override LARGEST: u32;

struct Params {
    extent: u32,
    inner: u32,
    rows: u32,
    k: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> data: array<u32>;          // outer, extent, inner
@group(0) @binding(2) var<storage, read_write> values: array<u32>;  // outer, k, inner
@group(0) @binding(3) var<storage, read_write> indices: array<i32>; // outer, k, inner

var<workgroup> keys: array<u32, 64>;
var<workgroup> places: array<u32, 64>;

const NOWHERE: u32 = 0xffffffffu;

fn key(bits: u32) -> u32 {
    var ordered = bits;
    if SCALAR == 0u {
        let magnitude = bits & 0x7fffffffu;
        ordered = select(bits ^ 0x80000000u, ~bits, bits > 0x80000000u);
        ordered = select(ordered, 0x80000000u, magnitude == 0u);
        ordered = select(ordered, 0xffffffffu, magnitude > 0x7f800000u);
    } else if SCALAR == 1u {
        ordered = bits ^ 0x80000000u;
    }
    return select(~ordered, ordered, LARGEST != 0u);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = group.x + group.y * groups.x;
    if row >= params.rows {
        return;
    }
    let outer = row / params.inner;
    let column = row - outer * params.inner;
    let start = outer * params.extent * params.inner + column;
    var last_key = 0xffffffffu;
    var last_place = NOWHERE;
    for (var turn = 0u; turn < params.k; turn += 1u) {
        var best_key = 0u;
        var best_place = NOWHERE;
        for (var k = lane; k < params.extent; k += 64u) {
            let own = key(data[start + k * params.inner]);
            let after = last_place == NOWHERE || own < last_key || (own == last_key && k > last_place);
            if after && (best_place == NOWHERE || own > best_key) {
                best_key = own;
                best_place = k;
            }
        }
        keys[lane] = best_key;
        places[lane] = best_place;
        workgroupBarrier();
        for (var step = 32u; step > 0u; step /= 2u) {
            if lane < step {
                let other_key = keys[lane + step];
                let other_place = places[lane + step];
                if other_place != NOWHERE {
                    let better = other_key > keys[lane] || (other_key == keys[lane] && other_place < places[lane]);
                    if better || places[lane] == NOWHERE {
                        keys[lane] = other_key;
                        places[lane] = other_place;
                    }
                }
            }
            workgroupBarrier();
        }
        last_key = keys[0];
        last_place = places[0];
        workgroupBarrier();
        if lane == 0u {
            let at = (outer * params.k + turn) * params.inner + column;
            values[at] = data[start + last_place * params.inner];
            indices[at] = i32(last_place);
        }
    }
}
