// Takes window_params; volume_element (element); an epilogue.
// Back from the windows of a pooling: for each element under them, the sum of what the windows that cover it hold, all of them or those that
// name it.
//
// One element under the windows per invocation, numbered row-major; the grid is one-dimensional, folded into y. `Params` say how the windows
// slid: the input extents are those of what is made here.

override CHOSEN: bool; // a window counts for the element that it names

@group(0) @binding(1) var<storage, read> values: array<f32>;      // [planes, output extents]
@group(0) @binding(2) var<storage, read> places: array<i32>;      // [planes, output extents]
@group(0) @binding(3) var<storage, read_write> sums: array<f32>;  // [planes, input extents]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = id.x + id.y * groups.x * 64u;
    if index >= params.count {
        return;
    }
    let place = element(index, params.input_extents.xyz);
    let extents = vec3<i32>(params.output_extents.xyz);
    let strides = vec3<i32>(params.strides.xyz);
    let dilations = vec3<i32>(params.dilations.xyz);
    let padded = vec3<i32>(place.at) + params.begins.xyz;
    // Window w reaches from w * stride on, over so many elements; the first and the last that cover this one.
    let reach = vec3<i32>(params.kernel_extents.xyz - 1u) * dilations;
    let first = (max(padded - reach, vec3(0)) + strides - 1) / strides;
    let last = min(padded / strides, extents - 1);
    var sum = 0.0;
    if all(padded >= vec3(0)) {
        let start = i32(place.volume) * extents.x * extents.y * extents.z;
        for (var i = first.x; i <= last.x; i++) {
            for (var j = first.y; j <= last.y; j++) {
                for (var k = first.z; k <= last.z; k++) {
                    let within = padded - vec3(i, j, k) * strides;
                    // Taps may lie apart.
                    if all(within % dilations == vec3(0)) {
                        let number = start + (i * extents.y + j) * extents.z + k;
                        if !CHOSEN || places[number] == i32(index) {
                            sum += values[number];
                        }
                    }
                }
            }
        }
    }
    sums[index] = epilogue(sum, index);
}
