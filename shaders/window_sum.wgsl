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
    let padded = vec3<i32>(place.at) + params.begins.xyz;
    let extents = params.output_extents.xyz;
    let strides = vec3<i32>(params.strides.xyz);
    let taps = params.kernel_extents.xyz;
    let start = place.volume * extents.x * extents.y * extents.z;
    var sum = 0.0;
    for (var i = 0u; i < taps.x; i++) {
        for (var j = 0u; j < taps.y; j++) {
            for (var k = 0u; k < taps.z; k++) {
                let reach = padded - vec3<i32>(vec3(i, j, k) * params.dilations.xyz);
                let window = reach / strides;
                if all(reach >= vec3(0)) && all(window * strides == reach) && all(window < vec3<i32>(extents)) {
                    let at = vec3<u32>(window);
                    let number = start + (at.x * extents.y + at.y) * extents.z + at.z;
                    if !CHOSEN || places[number] == i32(index) {
                        sum += values[number];
                    }
                }
            }
        }
    }
    sums[index] = epilogue(sum, index);
}
