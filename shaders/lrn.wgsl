// Takes an epilogue.
// Local response normalization: each element divided by a power of the mean square of neighbouring channels.
//
// One element per invocation; the grid is one-dimensional, folded into y. Neighbours lie `inner` elements apart, so the
// lanes of a subgroup read runs of memory.

struct Params {
    channels: u32,
    inner: u32,    // elements of one channel
    count: u32,
    before: u32,   // neighbours before a channel
    after: u32,    // neighbours after it
    factor: f32,   // alpha / size
    beta: f32,
    bias: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> data: array<f32>;             // batch, channels, inner
@group(0) @binding(2) var<storage, read_write> normalized: array<f32>; // batch, channels, inner

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = id.x + id.y * groups.x * 64u;
    if index >= params.count {
        return;
    }
    let channel = (index / params.inner) % params.channels;
    let first = channel - min(channel, params.before);
    let last = min(channel + params.after, params.channels - 1u);
    var square = 0.0;
    for (var c = first; c <= last; c += 1u) {
        let x = data[index + c * params.inner - channel * params.inner];
        square += x * x;
    }
    normalized[index] = epilogue(data[index] / pow(params.bias + params.factor * square, params.beta), index);
}
