// Takes ctc (NEVER, is_never, is_undefined, label_at, log_probability, power_of_two, probability); reduce_shared or
// reduce_subgroup (reduce_max, reduce_sum).
// The gradient of each CTC loss with respect to its logits: the probability of a class in a frame, less how much of all ways
// through the target has that class there (Graves et al. 2006, equation 16).
//
// One workgroup per frame and batch element. What a way through each state counts is taken against all states of the frame, so that
// no number of the length of a sequence comes in. The states of a class are summed by one invocation, in their order.
override ZERO_INFINITY: bool;

@group(0) @binding(4) var<storage, read> trellis: array<vec2<f32>>;  // directions, elements, rows, states
@group(0) @binding(5) var<storage, read> totals: array<f32>;         // batch
@group(0) @binding(6) var<storage, read_write> gradient: array<f32>; // time, batch, classes

// Where the sequence and its rows begin.
struct Place {
    frame: u32,
    begin: u32,
    states: u32,
    forward: u32,
    backward: u32,
}

// What the ways through a state count.
fn weight(place: Place, state: u32) -> vec2<f32> {
    var class_index = params.blank;
    if state % 2u == 1u {
        class_index = label_at(place.begin, state / 2u);
    }
    let forward = trellis[place.forward + state];
    let backward = trellis[place.backward + place.states - 1u - state];
    // Either direction counted the frame.
    let own = probability(place.frame, class_index);
    return vec2<f32>(forward.x * backward.x / own.x, forward.y + backward.y - own.y);
}

// That in parts of a power of two, which is the greatest there is.
fn count_of(place: Place, state: u32, most: f32) -> f32 {
    let own = weight(place, state);
    return own.x * power_of_two(own.y - most);
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let number = group.x + group.y * groups.x;
    let time = number / params.elements;
    if time >= params.frames {
        return;
    }
    let local = number - time * params.elements;
    let element = params.first_element + local;
    let begin = element * params.stride;
    let frames = sequences[begin];
    let labels = sequences[begin + 1u];
    let frame = time * params.batch + element;
    let first = frame * params.classes;
    let total = totals[element];
    if time >= frames || is_undefined(total) || is_never(total) {
        var bits = select(0x7fc00000u, 0u, time >= frames || (ZERO_INFINITY && !is_undefined(total)));
        for (var k = lane; k < params.classes; k += WORKGROUP) {
            gradient[first + k] = bitcast<f32>(bits);
        }
        return;
    }

    let row = (local * params.rows + time) * params.states;
    let back = ((params.elements + local) * params.rows + frames - 1u - time) * params.states;
    let place = Place(frame, begin, 2u * labels + 1u, row, back);
    for (var k = lane; k < params.classes; k += WORKGROUP) {
        gradient[first + k] = exp(log_probability(frame, k));
    }
    var most = NEVER;
    for (var state = lane; state < place.states; state += WORKGROUP) {
        most = max(most, weight(place, state).y);
    }
    let peak = reduce_max(most, lane);
    var blanks = 0.0;
    var others = 0.0;
    for (var state = lane; state < place.states; state += WORKGROUP) {
        let count = count_of(place, state, peak);
        blanks += select(count, 0.0, state % 2u == 1u);
        others += select(0.0, count, state % 2u == 1u);
    }
    let all_blanks = reduce_sum(blanks, lane);
    let all = all_blanks + reduce_sum(others, lane);
    storageBarrier();
    for (var label = lane; label < labels; label += WORKGROUP) {
        let link = sequences[begin + 4u + 2u * label];
        if link % 2u == 1u {
            var count = count_of(place, 2u * label + 1u, peak);
            for (var next = link / 2u; next < labels; next = sequences[begin + 4u + 2u * next] / 2u) {
                count += count_of(place, 2u * next + 1u, peak);
            }
            gradient[first + label_at(begin, label)] -= count / all;
        }
    }
    if lane == 0u {
        gradient[first + params.blank] -= all_blanks / all;
    }
}
