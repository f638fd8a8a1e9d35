// Takes width4 (Float); four_vectors or four_words; stored_width4 (Stored, floats); rows_stored or rows_texels (x_at); perhaps
// texels.
// As many reads as an adapter can do: the sum of `rounds` rows and of one more, each read once and in order.
//
// One invocation per group of four columns; the grid is one-dimensional, folded into y. Four rows are read before they are added up,
// so that reads wait for each other no more than they must. The bound takes a workgroup's number in, or a software adapter would
// compile the kernel again for its value.

struct Params {
    count: u32, // groups of four columns
    rounds: u32, // rows
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> first: array<Stored>; // [count]
@group(0) @binding(3) var<storage, read_write> y: array<Float>; // [count]

@compute @workgroup_size(64)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let index = id.x + id.y * groups.x * 64u;
    if index >= params.count {
        return;
    }
    let rounds = params.rounds + group.x - group.x;
    var sum = floats(first[index]);
    var at = index;
    let steps = rounds / 4u;
    for (var step = 0u; step < steps; step++) {
        let a = x_at(at);
        let b = x_at(at + params.count);
        let c = x_at(at + 2u * params.count);
        let d = x_at(at + 3u * params.count);
        sum += (a + b) + (c + d);
        at += 4u * params.count;
    }
    for (var round = steps * 4u; round < rounds; round++) {
        sum += x_at(at);
        at += params.count;
    }
    y[index] = sum;
}
