// The way back through a recurrent layer reads value by value: rows of any hidden size.
@group(0) @binding(1) var<storage, read> slopes: array<f32>; // [steps, batch, SLOPES, hidden]
@group(0) @binding(2) var<storage, read> weights: array<f32>; // [directions, GATES * hidden, hidden]
@group(0) @binding(4) var<storage, read> worth: array<f32>; // [steps, directions, batch, hidden], or batch, steps, directions
@group(0) @binding(5) var<storage, read> end_state: array<f32>; // [directions, batch, hidden], or batch first
@group(0) @binding(6) var<storage, read> end_memory: array<f32>; // as end_state

// Where each of four units stands in a row; past the last the last, and whose values there are none.
fn units_of(row: u32, unit: u32) -> vec4<u32> {
    let last = params.hidden - 1u;
    return row * params.hidden + min(unit * 4u + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(last));
}

fn within(unit: u32, group: vec4<f32>) -> vec4<f32> {
    return select(vec4<f32>(0.0), group, unit * 4u + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(params.hidden));
}

fn slope_group(row: u32, block: u32, unit: u32) -> vec4<f32> {
    let at = units_of(row * SLOPES + block, unit);
    return within(unit, vec4<f32>(slopes[at.x], slopes[at.y], slopes[at.z], slopes[at.w]));
}

fn weight_group(row: u32, unit: u32) -> vec4<f32> {
    let at = units_of(row, unit);
    return within(unit, vec4<f32>(weights[at.x], weights[at.y], weights[at.z], weights[at.w]));
}

fn worth_group(row: u32, unit: u32) -> vec4<f32> {
    let at = units_of(row, unit);
    return within(unit, vec4<f32>(worth[at.x], worth[at.y], worth[at.z], worth[at.w]));
}

fn end_state_group(row: u32, unit: u32) -> vec4<f32> {
    let at = units_of(row, unit);
    return within(unit, vec4<f32>(end_state[at.x], end_state[at.y], end_state[at.z], end_state[at.w]));
}

fn end_memory_group(row: u32, unit: u32) -> vec4<f32> {
    let at = units_of(row, unit);
    return within(unit, vec4<f32>(end_memory[at.x], end_memory[at.y], end_memory[at.z], end_memory[at.w]));
}
