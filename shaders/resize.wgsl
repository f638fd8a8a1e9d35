// Takes divide (divide).
// Resize along one or two axes: each output element is a weighted sum of FIRST_TAPS by SECOND_TAPS input elements, which
// a table names for each index along an axis. With one tap for each, elements are copied, so any scalar type will do.
//
// RUN output elements along the second axis per invocation, numbered row-major over outer, first, between, second, inner;
// the grid is one-dimensional, folded into y.

override RUN: u32;
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
    count: u32, // invocations
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> data: array<u32>;          // outer, first_input, between, second_input, inner
@group(0) @binding(2) var<storage, read> table: array<u32>;         // for each index: elements, then weights
@group(0) @binding(3) var<storage, read_write> resized: array<u32>; // outer, first_output, between, second_output, inner

const NOTHING: u32 = 0xffffffffu;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = id.x + id.y * groups.x * 64u;
    if index >= params.count {
        return;
    }
    let runs = (params.second_output + RUN - 1u) / RUN;
    var next = divide(index, params.inner);
    let inner = index - next * params.inner;
    var rest = next;
    next = divide(rest, runs);
    let start = (rest - next * runs) * RUN;
    let row = next;
    rest = next;
    next = divide(rest, params.between);
    let between = rest - next * params.between;
    rest = next;
    let outer = divide(rest, params.first_output);
    let first_taps = (rest - outer * params.first_output) * 2u * FIRST_TAPS;
    let image = outer * params.first_input;
    let row_is_outside = table[first_taps] == NOTHING;

    for (var run = 0u; run < RUN; run += 1u) {
        let second = start + run;
        if second >= params.second_output {
            break;
        }
        let second_taps = params.second_table + second * 2u * SECOND_TAPS;
        var value = params.outside;
        if !row_is_outside && table[second_taps] != NOTHING {
            if FIRST_TAPS == 1u && SECOND_TAPS == 1u {
                let line = ((image + table[first_taps]) * params.between + between) * params.second_input;
                value = data[(line + table[second_taps]) * params.inner + inner];
            } else {
                var sum = 0.0;
                for (var j = 0u; j < FIRST_TAPS; j += 1u) {
                    let line = ((image + table[first_taps + j]) * params.between + between) * params.second_input;
                    var part = 0.0;
                    for (var k = 0u; k < SECOND_TAPS; k += 1u) {
                        let element = data[(line + table[second_taps + k]) * params.inner + inner];
                        part += bitcast<f32>(element) * bitcast<f32>(table[second_taps + SECOND_TAPS + k]);
                    }
                    sum += part * bitcast<f32>(table[first_taps + FIRST_TAPS + j]);
                }
                value = bitcast<u32>(sum);
            }
        }
        resized[(row * params.second_output + second) * params.inner + inner] = value;
    }
}
