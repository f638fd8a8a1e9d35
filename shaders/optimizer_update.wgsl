// OptimizerUpdate: parameters, and what is remembered of them, changed by their gradients. The formulas are those of PyTorch's SGD, Adam,
// AdamW and RMSprop.
//
// Four neighbouring parameters per invocation, with all that is remembered of them; the grid is one-dimensional, folded into y. Nothing is
// written where the controls say so, where the norm of the gradients is infinite or no number, or once a batch was told of which
// nothing may be learned.

override RULE: u32;     // 0: SGD, 1: Adam, 2: RMSprop
override MOMENTUM: bool; // SGD, RMSprop: directions are averaged over steps
override NESTEROV: bool; // SGD: the direction looks ahead by the momentum
override CENTERED: bool; // RMSprop: squares are about the mean
override CLIPPED: bool;  // gradients are scaled down to a norm
override WATCHED: bool;  // a batch may be told

struct Params {
    count: u32, // vectors of a row
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gradients: array<vec4<f32>>;    // count
@group(0) @binding(2) var<storage, read> controls: array<f32>;           // see ops/optimizer/controls.rs
@group(0) @binding(3) var<storage, read> norm: array<f32>;               // one
@group(0) @binding(4) var<storage, read> first: array<i32>;              // one, not 0 once a batch was told
@group(0) @binding(5) var<storage, read_write> arena: array<vec4<f32>>;  // rows, count: parameters, then what is remembered

const APPLY: u32 = 0u;
const CLIP_NORM: u32 = 1u;
const WEIGHT_DECAY: u32 = 2u;
const KEEP: u32 = 3u;
const RATE: u32 = 4u;
const DECAY: u32 = 6u;
const FRESH: u32 = 7u;
const SECOND_DECAY: u32 = 8u;
const SECOND_FRESH: u32 = 9u;
const EPSILON: u32 = 10u;
const ROOT_SCALE: u32 = 11u;

// What is remembered in a row moves towards what is new.
fn remember(place: u32, decay: u32, fresh: vec4<f32>) -> vec4<f32> {
    let value = controls[decay] * arena[place] + fresh;
    arena[place] = value;
    return value;
}

fn sgd(place: u32, gradient: vec4<f32>) -> vec4<f32> {
    if !MOMENTUM {
        return gradient;
    }
    let mean = remember(place + params.count, DECAY, controls[FRESH] * gradient);
    return select(mean, gradient + controls[DECAY] * mean, NESTEROV);
}

fn adam(place: u32, gradient: vec4<f32>) -> vec4<f32> {
    let mean = remember(place + params.count, DECAY, controls[FRESH] * gradient);
    let square = remember(place + 2u * params.count, SECOND_DECAY, controls[SECOND_FRESH] * gradient * gradient);
    return mean / (sqrt(square) * controls[ROOT_SCALE] + controls[EPSILON]);
}

fn rms_prop(place: u32, gradient: vec4<f32>) -> vec4<f32> {
    var row = place + params.count;
    var square = remember(row, DECAY, controls[FRESH] * gradient * gradient);
    if CENTERED {
        row += params.count;
        let mean = remember(row, DECAY, controls[FRESH] * gradient);
        // A variance, but for rounding.
        square = max(square - mean * mean, vec4<f32>());
    }
    let direction = gradient / (sqrt(square) + controls[EPSILON]);
    if MOMENTUM {
        return remember(row + params.count, SECOND_DECAY, direction);
    }
    return direction;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let place = id.x + id.y * groups.x * 64u;
    if place >= params.count || controls[APPLY] == 0.0 {
        return;
    }
    if WATCHED {
        if first[0] != 0 {
            return;
        }
    }
    var gradient = gradients[place];
    if CLIPPED {
        if (bitcast<u32>(norm[0]) & 0x7f800000u) == 0x7f800000u {
            return;
        }
        gradient *= min(1.0, controls[CLIP_NORM] / (norm[0] + 1e-6));
    }
    let parameter = arena[place];
    gradient += controls[WEIGHT_DECAY] * parameter;
    var direction: vec4<f32>;
    if RULE == 0u {
        direction = sgd(place, gradient);
    } else if RULE == 1u {
        direction = adam(place, gradient);
    } else {
        direction = rms_prop(place, gradient);
    }
    arena[place] = parameter * controls[KEEP] - controls[RATE] * direction;
}
