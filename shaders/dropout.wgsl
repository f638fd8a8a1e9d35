// Takes threefry; random_words1 or random_words4 (random_words); dropout_mask or dropout_values (store_mask); width1 or width4
// (Float, Uint); stored_width1 or stored_width4 (Stored, floats); an epilogue.
// Dropout: kept[i] = data[i] * scale where the random word of element i is not below a threshold, zero elsewhere.
//
// A word is made of the key, the element's place and the number of the stream, wherever it is asked for. An element here is one
// value or a group of four neighbours, as the width prelude says. One invocation makes one element; the grid is one-dimensional,
// folded into y.

struct Params {
    count: u32, // elements
    stream: u32,
    threshold: u32,
    scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> data: array<Stored>;      // count
@group(0) @binding(2) var<storage, read> key: array<u32>;          // 2
@group(0) @binding(3) var<storage, read_write> kept: array<Float>; // count

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = id.x + id.y * groups.x * 64u;
    if index >= params.count {
        return;
    }
    let is_kept = random_words(vec2<u32>(key[0], key[1]), index, params.stream) >= Uint(params.threshold);
    kept[index] = epilogue(select(Float(0.0), floats(data[index]) * params.scale, is_kept), index);
    store_mask(index, is_kept);
}
