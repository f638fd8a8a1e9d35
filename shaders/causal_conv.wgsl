// Takes store_width1 or store_width4 (store_four); width1 or width4 (Float); an epilogue.
// Convolution of each channel by itself along time, which looks at the present and the past alone: the past comes first as so
// many positions as the taps reach back, or is zero. The last positions become the past of the next run.
//
// An invocation makes four neighbours of a row, which is one channel of one batch element: of its output, or past the end of
// that, of its next past. It slides a window of four positions along the taps, so that each position is read once. Rows are
// numbered through; the grid is one-dimensional, folded into y.

override HAS_BIAS: bool;
override HAS_PAST: bool;

struct Params {
    rows: u32, // batch * channels
    channels: u32,
    length: u32,
    taps: u32,
    kept: u32,   // positions of the past, taps - 1
    quads: u32,  // invocations for the output of a row
    states: u32, // and for its next past
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;  // rows, length
@group(0) @binding(2) var<storage, read> weight: array<f32>; // channels, taps
@group(0) @binding(3) var<storage, read> bias: array<f32>;   // channels
@group(0) @binding(4) var<storage, read> past: array<f32>;   // rows, kept
@group(0) @binding(5) var<storage, read_write> output: array<Float>; // rows, length
@group(0) @binding(6) var<storage, read_write> present: array<f32>;  // rows, kept

// A position of the past and the input, one behind the other; those past the end repeat the last.
fn position(row: u32, place: u32) -> f32 {
    if place >= params.kept {
        return input[row * params.length + min(place - params.kept, params.length - 1u)];
    }
    if HAS_PAST {
        return past[row * params.kept + place];
    }
    return 0.0;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let number = id.x + id.y * groups.x * 64u;
    let row = number / (params.quads + params.states);
    let quad = number - row * (params.quads + params.states);
    if row >= params.rows {
        return;
    }
    if quad >= params.quads {
        let first = (quad - params.quads) * 4u;
        for (var k = first; k < min(first + 4u, params.kept); k++) {
            present[row * params.kept + k] = position(row, params.length + k);
        }
        return;
    }
    let channel = row % params.channels;
    let first = quad * 4u;
    var window = vec4<f32>(0.0, position(row, first), position(row, first + 1u), position(row, first + 2u));
    var sum = vec4<f32>(0.0);
    if HAS_BIAS {
        sum = vec4<f32>(bias[channel]);
    }
    // Never another number, but one that Mesa's lavapipe does not take for a uniform alone: it would compile anew for each.
    let taps = min(params.taps, params.taps + number);
    for (var tap = 0u; tap < taps; tap++) {
        window = vec4<f32>(window.yzw, position(row, first + tap + 3u));
        sum += weight[channel * params.taps + tap] * window;
    }
    store_four(row * params.length + first, params.length - first, sum);
}
