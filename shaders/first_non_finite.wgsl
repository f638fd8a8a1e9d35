// FirstNonFinite: the first batch whose loss is infinite or no number, or that has a gradient whose square is.
//
// Four neighbouring elements of the gradients per invocation; the grid is one-dimensional, folded into y. The first invocation looks at the loss,
// too. Most write nothing: numbers that are told fall, so that the least of all is that of the first batch.

override GRADIENTS: bool; // there are gradients

struct Params {
    count: u32, // vectors of gradients; one where there are none
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gradients: array<vec4<u32>>;       // count, the bits of floats
@group(0) @binding(2) var<storage, read> loss: array<u32>;                  // one, the bits of a float
@group(0) @binding(3) var<storage, read> controls: array<f32>;              // see ops/optimizer/controls.rs
@group(0) @binding(4) var<storage, read_write> first: array<atomic<i32>>;   // one

const BATCH: u32 = 13u;
const BATCHES: u32 = 14u;

const MAGNITUDE: u32 = 0x7fffffffu;
// The bits of 2^64, the least float whose square is infinite; those of infinities and of what is no number are greater.
const GREATEST: u32 = 0x5f800000u;
const INFINITE: u32 = 0x7f800000u;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let place = id.x + id.y * groups.x * 64u;
    if place >= params.count {
        return;
    }
    var is_found = place == 0u && (loss[0] & MAGNITUDE) >= INFINITE;
    if GRADIENTS {
        is_found = is_found || any((gradients[place] & vec4<u32>(MAGNITUDE)) >= vec4<u32>(GREATEST));
    }
    if is_found {
        let number = 0x80000000u + u32(controls[BATCH]) + u32(controls[BATCHES]) * 65536u;
        atomicMin(&first[0], bitcast<i32>(number));
    }
}
