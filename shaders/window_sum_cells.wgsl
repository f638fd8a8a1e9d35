// Takes window_params; volume_element (element); an epilogue.
// Back from the windows of a pooling that do not overlap: each element under a window takes what that holds, where it counts for it; elements
// beside all windows take nothing.
//
// A cell of stride by stride elements per invocation, with the window in its corner; cells are numbered row-major, the grid is one-dimensional,
// folded into y. `Params` say how the windows slid: the input extents are those of what is made here, `padded_extents` count cells.

override CHOSEN: bool; // a window counts for the element that it names

@group(0) @binding(1) var<storage, read> values: array<f32>;      // [planes, output extents]
@group(0) @binding(2) var<storage, read> places: array<i32>;      // [planes, output extents]
@group(0) @binding(3) var<storage, read_write> sums: array<f32>;  // [planes, input extents]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let number = id.x + id.y * groups.x * 64u;
    if number >= params.count {
        return;
    }
    let cell = element(number, vec3<u32>(params.padded_extents.xyz));
    let windows = params.output_extents.xyz;
    var value = 0.0;
    var chosen = -1i;
    let is_window = all(cell.at < windows);
    if is_window {
        let window = ((cell.volume * windows.x + cell.at.x) * windows.y + cell.at.y) * windows.z + cell.at.z;
        value = values[window];
        if CHOSEN {
            chosen = places[window];
        }
    }
    let extents = params.input_extents.xyz;
    let first = cell.at * params.strides.xyz;
    let end = min(first + params.strides.xyz, extents);
    for (var i = first.x; i < end.x; i++) {
        for (var j = first.y; j < end.y; j++) {
            let row = ((cell.volume * extents.x + i) * extents.y + j) * extents.z;
            for (var k = first.z; k < end.z; k++) {
                var is_under = is_window && all(vec3(i, j, k) - first < params.kernel_extents.xyz);
                if CHOSEN {
                    is_under = is_under && chosen == i32(row + k);
                }
                sums[row + k] = epilogue(select(0.0, value, is_under), row + k);
            }
        }
    }
}
