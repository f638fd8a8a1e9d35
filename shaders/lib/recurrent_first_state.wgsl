// What the kernels share that put the first state of a recurrent layer into the order in which another reads it.
struct Params {
    batch: u32,
    hidden: u32,
    directions: u32,
    batch_first: u32,
    units: u32,
    together: u32, // batch elements that lie side by side
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> given: array<f32>; // [directions, batch, hidden], or batch first

// Where the state of a batch element begins.
fn given_start(direction: u32, element: u32) -> u32 {
    let by_direction = direction * params.batch + element;
    return select(by_direction, element * params.directions + direction, params.batch_first != 0u) * params.hidden;
}

// Tiles of batch elements that lie side by side.
fn tiles_of_batch() -> u32 {
    return (params.batch + params.together - 1u) / params.together;
}
