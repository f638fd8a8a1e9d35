// Resize along one or two axes: each output element is a weighted sum of FIRST_TAPS by SECOND_TAPS input elements, which
// a table names for each index along an axis. With one tap for each, elements are copied, so any scalar type will do.
//
// One output element per invocation, numbered row-major over outer, first, between, second, inner; the grid is
// one-dimensional, folded into y.

override FIRST_TAPS: u32;
override SECOND_TAPS: u32;

struct Params {
    first_input: u32,
    first_output: u32,
    between: u32,
    second_input: u32,
    second_output: u32,
    inner: u32,
    second_table: u32, // where the second axis' table starts
    outside: u32,      // what stands where the table has no input elements
    count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> data: array<u32>;          // outer, first_input, between, second_input, inner
@group(0) @binding(2) var<storage, read> table: array<u32>;         // for each index: elements, then weights
@group(0) @binding(3) var<storage, read_write> resized: array<u32>; // outer, first_output, between, second_output, inner

const NOTHING: u32 = 0xffffffffu;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let place = id.x + id.y * groups.x * 64u;
    if place >= params.count {
        return;
    }
    var rest = place / params.inner;
    let inner = place - rest * params.inner;
    let second = rest % params.second_output;
    rest = rest / params.second_output;
    let between = rest % params.between;
    rest = rest / params.between;
    let first = rest % params.first_output;
    let outer = rest / params.first_output;

    let first_taps = first * 2u * FIRST_TAPS;
    let second_taps = params.second_table + second * 2u * SECOND_TAPS;
    if table[first_taps] == NOTHING || table[second_taps] == NOTHING {
        resized[place] = params.outside;
        return;
    }
    if FIRST_TAPS == 1u && SECOND_TAPS == 1u {
        let row = (outer * params.first_input + table[first_taps]) * params.between + between;
        resized[place] = data[(row * params.second_input + table[second_taps]) * params.inner + inner];
        return;
    }
    var sum = 0.0;
    for (var j = 0u; j < FIRST_TAPS; j += 1u) {
        let row = (outer * params.first_input + table[first_taps + j]) * params.between + between;
        var line = 0.0;
        for (var k = 0u; k < SECOND_TAPS; k += 1u) {
            let element = data[(row * params.second_input + table[second_taps + k]) * params.inner + inner];
            line += bitcast<f32>(element) * bitcast<f32>(table[second_taps + SECOND_TAPS + k]);
        }
        sum += line * bitcast<f32>(table[first_taps + FIRST_TAPS + j]);
    }
    resized[place] = bitcast<u32>(sum);
}
