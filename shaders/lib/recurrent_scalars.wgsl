// A recurrent layer reads products and states value by value: rows of any hidden size.
@group(0) @binding(1) var<storage, read> products: array<f32>; // [steps and batch as in X, directions, GATES, hidden]
@group(0) @binding(5) var<storage, read> first_memory: array<f32>; // [directions, batch, hidden], or batch first

fn product_group(row: u32, unit: u32) -> vec4<f32> {
    var group = vec4<f32>(0.0);
    for (var k = 0u; k < 4u; k++) {
        if unit * 4u + k < params.hidden {
            group[k] = products[row * params.hidden + unit * 4u + k];
        }
    }
    return group;
}

fn memory_group(row: u32, unit: u32) -> vec4<f32> {
    var group = vec4<f32>(0.0);
    for (var k = 0u; k < 4u; k++) {
        if unit * 4u + k < params.hidden {
            group[k] = first_memory[row * params.hidden + unit * 4u + k];
        }
    }
    return group;
}
