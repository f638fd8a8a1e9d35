// The way back through a recurrent layer reads groups of four units: the hidden size is a multiple of four.
@group(0) @binding(1) var<storage, read> slopes: array<Four>; // [steps, batch, SLOPES, UNITS]
@group(0) @binding(2) var<storage, read> weights: array<Four>; // [directions, GATES * hidden, UNITS]
@group(0) @binding(4) var<storage, read> worth: array<Four>; // [steps, directions, batch, UNITS], or batch, steps, directions
@group(0) @binding(5) var<storage, read> end_state: array<Four>; // [directions, batch, UNITS], or batch first
@group(0) @binding(6) var<storage, read> end_memory: array<Four>; // as end_state

fn slope_group(row: u32, block: u32, unit: u32) -> vec4<f32> {
    return four(slopes[(row * SLOPES + block) * UNITS + unit]);
}

fn weight_group(row: u32, unit: u32) -> vec4<f32> {
    return four(weights[row * UNITS + unit]);
}

fn worth_group(row: u32, unit: u32) -> vec4<f32> {
    return four(worth[row * UNITS + unit]);
}

fn end_state_group(row: u32, unit: u32) -> vec4<f32> {
    return four(end_state[row * UNITS + unit]);
}

fn end_memory_group(row: u32, unit: u32) -> vec4<f32> {
    return four(end_memory[row * UNITS + unit]);
}
