// Takes divide (divide).
// GridSample of two-dimensional images: sampled[n, c, p] = the image n, c at the point grid[n, p], a sum of TAPS by TAPS
// weighted pixels.
//
// One output element per invocation, numbered row-major; the grid is one-dimensional, folded into y. Coordinates come
// from data: pixels are clamped to the image.

override TAPS: u32; // 1: nearest, 2: linear, 4: cubic
override OUTSIDE: u32; // 0: zeros, 1: the border, 2: the image mirrored
override ALIGN_CORNERS: u32;

struct Params {
    channels: u32,
    height: u32,
    width: u32,
    points: u32,
    count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> image: array<f32>;         // batch, channels, height, width
@group(0) @binding(2) var<storage, read> grid: array<f32>;          // batch, points, 2 (x, y)
@group(0) @binding(3) var<storage, read_write> sampled: array<f32>; // batch, channels, points

// Keys' cubic convolution with the parameter -0.75.
fn cubic(distance: f32) -> f32 {
    let x = abs(distance);
    if x <= 1.0 {
        return (1.25 * x - 2.25) * x * x + 1.0;
    }
    return select(0.0, ((-0.75 * x + 3.75) * x - 6.0) * x + 3.0, x < 2.0);
}

fn reflect_at(x: f32, low: f32, high: f32) -> f32 {
    let range = high - low;
    if range <= 0.0 {
        return low;
    }
    let distance = abs(x - low);
    let phase = distance - floor(distance / (2.0 * range)) * 2.0 * range;
    return low + min(phase, 2.0 * range - phase);
}

// Where a point of the grid lies along an axis of `length` pixels.
fn coordinate(point: f32, length: f32) -> f32 {
    let aligned = ALIGN_CORNERS != 0u;
    var x = select(((point + 1.0) * length - 1.0) / 2.0, (point + 1.0) / 2.0 * (length - 1.0), aligned);
    if TAPS == 1u {
        x = round(x);
    }
    let low = select(-0.5, 0.0, aligned);
    let high = length - 1.0 - low;
    if x < low || x > high {
        if OUTSIDE == 1u {
            x = clamp(x, 0.0, length - 1.0);
        } else if OUTSIDE == 2u {
            x = reflect_at(x, low, high);
        }
    }
    return x;
}

// The pixel that stands at a place, and how much of it counts.
fn pixel(place: f32, length: f32) -> vec2<f32> {
    let low = select(-0.5, 0.0, ALIGN_CORNERS != 0u);
    let high = length - 1.0 - low;
    var x = place;
    if OUTSIDE == 2u && (place < low || place > high) {
        x = trunc(reflect_at(place, low, high));
    }
    let inside = OUTSIDE != 0u || (place >= 0.0 && place < length);
    return vec2<f32>(clamp(x, 0.0, length - 1.0), select(0.0, 1.0, inside));
}

fn weight(place: f32, x: f32) -> f32 {
    switch TAPS {
        case 1u: { return 1.0; }
        case 2u: { return 1.0 - abs(place - x); }
        default: { return cubic(place - x); }
    }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let place = id.x + id.y * groups.x * 64u;
    if place >= params.count {
        return;
    }
    let plane = divide(place, params.points);
    let batch = divide(plane, params.channels);
    let point = 2u * (batch * params.points + place - plane * params.points);
    let size = vec2<f32>(f32(params.width), f32(params.height));
    let x = coordinate(grid[point], size.x);
    let y = coordinate(grid[point + 1u], size.y);
    // Neighbours start at the pixel itself, at the one before, or at the one before that.
    let before = select(0.0, 1.0, TAPS == 4u);
    let first_x = select(floor(x), x, TAPS == 1u) - before;
    let first_y = select(floor(y), y, TAPS == 1u) - before;
    var sum = 0.0;
    for (var j = 0u; j < TAPS; j += 1u) {
        let row = pixel(first_y + f32(j), size.y);
        var part = 0.0;
        for (var k = 0u; k < TAPS; k += 1u) {
            let column = pixel(first_x + f32(k), size.x);
            let line = plane * params.height + min(u32(row.x), params.height - 1u);
            let value = image[line * params.width + min(u32(column.x), params.width - 1u)];
            part += value * column.y * weight(first_x + f32(k), x);
        }
        sum += part * row.y * weight(first_y + f32(j), y);
    }
    sampled[place] = sum;
}
