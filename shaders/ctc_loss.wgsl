// Takes ctc (NEVER, is_never, is_undefined, label_at, power_of_two, probability).
// The CTC loss (Graves et al. 2006): minus the logarithm of the probability of all ways through the states of a target, by the
// forward variables; and the backward variables, which are the forward ones of the sequence turned round.
//
// One workgroup per sequence (x) and direction (y), which walks the frames together; lane `l` has the states `l`,
// `l + WORKGROUP`, ... A row of the trellis holds the variables of a frame. States that no way from the first to the last frame
// passes are left out. Rows are as many as frames where a gradient wants them, else two.
override ZERO_INFINITY: bool;

@group(0) @binding(4) var<storage, read_write> trellis: array<vec2<f32>>; // directions, elements, rows, states
@group(0) @binding(5) var<storage, read_write> totals: array<f32>;        // batch: minus the loss, NEVER where it is infinite
@group(0) @binding(6) var<storage, read_write> loss: array<f32>;          // batch

fn sum_of_three(a: vec2<f32>, b: vec2<f32>, c: vec2<f32>) -> vec2<f32> {
    let most = max(a.y, max(b.y, c.y));
    let sum = a.x * power_of_two(a.y - most) + b.x * power_of_two(b.y - most) + c.x * power_of_two(c.y - most);
    return vec2<f32>(sum, most);
}

// The same with m from 1/2 to 1.
fn normalized(number: vec2<f32>) -> vec2<f32> {
    let bits = bitcast<u32>(number.x);
    return vec2<f32>(bitcast<f32>((bits & 0x007fffffu) | 0x3f000000u), number.y + f32(i32(bits >> 23u) - 126));
}

fn infinity() -> f32 {
    // A constant expression may not be infinite; a variable may.
    var bits = 0x7f800000u;
    return bitcast<f32>(bits);
}

// The class of label `k` in this direction.
fn class_at(begin: u32, labels: u32, k: u32, is_back: bool) -> u32 {
    return label_at(begin, select(k, labels - 1u - k, is_back));
}

// The sum of the ways that lead to a state, before its own frame.
fn ways(begin: u32, labels: u32, row: u32, state: u32, is_back: bool) -> vec2<f32> {
    var one_before = vec2<f32>(1.0, NEVER);
    var two_before = vec2<f32>(1.0, NEVER);
    if state >= 1u {
        one_before = trellis[row + state - 1u];
    }
    if state >= 3u && state % 2u == 1u {
        // A label may follow another one at once.
        let k = state / 2u;
        if class_at(begin, labels, k, is_back) != class_at(begin, labels, k - 1u, is_back) {
            two_before = trellis[row + state - 2u];
        }
    }
    return sum_of_three(trellis[row + state], one_before, two_before);
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let element = params.first_element + group.x;
    let begin = element * params.stride;
    let frames = sequences[begin];
    let labels = sequences[begin + 1u];
    let has_no_way = sequences[begin + 2u] == 1u;
    let is_back = group.y == 1u;
    let states = 2u * labels + 1u;
    let start = (group.y * groups.x + group.x) * params.rows * params.states;
    let end = select(min(frames, params.last_step), 0u, has_no_way);

    var is_whole = true;
    if params.first_step > 0u && params.first_step < end && lane == 0u && !is_back {
        is_whole = !is_undefined(totals[element]);
    }
    for (var step = params.first_step; step < end; step++) {
        let frame = select(step, frames - 1u - step, is_back) * params.batch + element;
        let row = start + step % params.rows * params.states;
        let last_row = start + (step + params.rows - 1u) % params.rows * params.states;
        is_whole = is_whole && !is_undefined(normalizers[frame].y);
        let reached = 2u * step + 1u;
        let reaching = 2u * (frames - 1u - step) + 1u;
        for (var state = lane; state < states; state += WORKGROUP) {
            var value = vec2<f32>(1.0, NEVER);
            if state <= reached && states - 1u - state <= reaching {
                var before = vec2<f32>(1.0, 0.0);
                if step > 0u {
                    before = ways(begin, labels, last_row, state, is_back);
                }
                var class_index = params.blank;
                if state % 2u == 1u {
                    class_index = class_at(begin, labels, state / 2u, is_back);
                }
                let own = probability(frame, class_index);
                value = normalized(vec2<f32>(before.x * own.x, before.y + own.y));
            }
            trellis[row + state] = value;
        }
        storageBarrier();
    }

    if lane == 0u && !is_back {
        let is_last = frames <= params.last_step && (frames > params.first_step || params.first_step == 0u);
        var total = 0.0;
        var is_possible = !has_no_way;
        if is_last && is_possible && frames > 0u {
            let row = start + (frames - 1u) % params.rows * params.states;
            var last_label = vec2<f32>(1.0, NEVER);
            if states > 1u {
                last_label = trellis[row + states - 2u];
            }
            let ends = sum_of_three(trellis[row + states - 1u], last_label, vec2<f32>(1.0, NEVER));
            is_possible = !is_never(ends.y);
            total = ends.y * 0.6931471806 + log(ends.x);
        }
        var undefined = 0x7fc00000u;
        total = select(bitcast<f32>(undefined), total, is_whole);
        if is_last {
            loss[element] = select(select(infinity(), 0.0, ZERO_INFINITY), -total, is_possible || !is_whole);
            totals[element] = select(NEVER, total, is_possible || !is_whole);
        } else if params.first_step < end {
            totals[element] = total;
        }
    }
}
