// The CTC loss (Graves et al. 2006): minus the logarithm of the probability of all ways through the states of a target, by the
// forward variables; and the backward variables, which are the forward ones of the sequence turned round.
//
// One workgroup per sequence (x) and direction (y), which walks the frames together; lane `l` has the states `l`,
// `l + WORKGROUP`, ... A row of the trellis holds the logarithms of the variables of a frame, less the greatest of the row before, so
// that they stay small however long the sequence. States that no way from the first to the last frame passes are left out. Rows
// are as many as frames where a gradient wants them, else two.
override ZERO_INFINITY: bool;

@group(0) @binding(4) var<storage, read_write> trellis: array<f32>; // directions, elements, rows, states
@group(0) @binding(5) var<storage, read_write> totals: array<f32>;  // batch: the logarithm of the probability; between dispatches, so far
@group(0) @binding(6) var<storage, read_write> loss: array<f32>;    // batch

// The logarithm of a sum, given the logarithms of its terms.
fn joined(a: f32, b: f32, c: f32) -> f32 {
    let most = max(a, max(b, c));
    return most + log(exp(a - most) + exp(b - most) + exp(c - most));
}

fn infinity() -> f32 {
    // A constant expression may not be infinite; a variable may.
    var bits = 0x7f800000u;
    return bitcast<f32>(bits);
}

// What a row comes to.
fn row_peak(row: u32, states: u32, lane: u32) -> f32 {
    var most = NEVER;
    for (var state = lane; state < states; state += WORKGROUP) {
        most = max(most, trellis[row + state]);
    }
    return reduce_max(most, lane);
}

// The class of label `k` in this direction.
fn class_at(begin: u32, labels: u32, k: u32, is_back: bool) -> u32 {
    return label_at(begin, select(k, labels - 1u - k, is_back));
}

// The logarithm of the sum of the ways that lead to a state, before its own frame.
fn ways(begin: u32, labels: u32, row: u32, state: u32, is_back: bool) -> f32 {
    var one_before = NEVER;
    var two_before = NEVER;
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
    return joined(trellis[row + state], one_before, two_before);
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

    var peak = 0.0;
    var total = 0.0;
    var recent = 0.0;
    var is_whole = true;
    if params.first_step > 0u && params.first_step < end {
        peak = row_peak(start + (params.first_step - 1u) % params.rows * params.states, states, lane);
        total = totals[element];
        is_whole = !is_undefined(total);
    }
    for (var step = params.first_step; step < end; step++) {
        let frame = select(step, frames - 1u - step, is_back) * params.batch + element;
        let row = start + step % params.rows * params.states;
        let last_row = start + (step + params.rows - 1u) % params.rows * params.states;
        // Sums of few terms each lose less.
        peak = select(peak, 0.0, is_never(peak));
        recent += peak;
        if step % 64u == 63u {
            total += recent;
            recent = 0.0;
        }
        is_whole = is_whole && !is_undefined(normalizers[frame].y);
        let reached = 2u * step + 1u;
        let reaching = 2u * (frames - 1u - step) + 1u;
        var most = NEVER;
        for (var state = lane; state < states; state += WORKGROUP) {
            var value = NEVER;
            if state <= reached && states - 1u - state <= reaching {
                var before = 0.0;
                if step > 0u {
                    before = ways(begin, labels, last_row, state, is_back) - peak;
                }
                var class_index = params.blank;
                if state % 2u == 1u {
                    class_index = class_at(begin, labels, state / 2u, is_back);
                }
                value = before + log_probability(frame, class_index);
            }
            trellis[row + state] = value;
            most = max(most, value);
        }
        peak = reduce_max(most, lane);
        storageBarrier();
    }

    if lane == 0u && !is_back {
        total += recent;
        let is_last = frames <= params.last_step && (frames > params.first_step || params.first_step == 0u);
        var is_possible = !has_no_way;
        if is_last && is_possible && frames > 0u {
            let row = start + (frames - 1u) % params.rows * params.states;
            var last_label = NEVER;
            if states > 1u {
                last_label = trellis[row + states - 2u];
            }
            let ends = joined(trellis[row + states - 1u], last_label, NEVER);
            is_possible = !is_never(ends);
            total += ends;
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
