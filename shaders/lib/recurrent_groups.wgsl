// A recurrent layer reads products and states in groups of four units: the hidden size is a multiple of four.
@group(0) @binding(1) var<storage, read> products: array<Four>; // [steps and batch as in X, directions, GATES, UNITS]
@group(0) @binding(5) var<storage, read> first_memory: array<Four>; // [directions, batch, UNITS], or batch first

fn product_group(row: u32, unit: u32) -> vec4<f32> {
    return four(products[row * UNITS + unit]);
}

fn memory_group(row: u32, unit: u32) -> vec4<f32> {
    return four(first_memory[row * UNITS + unit]);
}
