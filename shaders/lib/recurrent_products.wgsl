// What the kernels share that take one step of a recurrent layer, or one of its products: how a product's sums become the next state.
//
// `const PRODUCT` is 0 where a step is one product, of gates 0 to SUMMED. A cell that takes two makes two dispatches of a step: 1 is the
// product of the gates but the last; it leaves three states one after the other, the state scaled by the reset gate, the sums of gate 0
// in the shape of a state, and the state itself. 2 is the product of the last gate with the scaled state.
const SCALED: u32 = 0u;
const SUMS_OF_GATE_0: u32 = 1u;
const UNSCALED: u32 = 2u;

override HAS_LENGTHS: bool;
override HAS_CELL_STATE: bool;
override WRITES_STEPS: bool;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(6) var<storage, read_write> y: array<f32>; // [steps, directions, batch, hidden], or batch, steps, directions
@group(0) @binding(8) var<storage, read_write> last_memory: array<f32>; // [directions, batch, hidden], or batch first

// What the cell's equations ask for: the sums of one batch element, and the cell state of an LSTM.
var<private> sums: array<vec4<f32>, 4>;
var<private> memory: array<vec4<f32>, 1>;

fn from_state(place: Place, gate: u32) -> vec4<f32> {
    return sums[gate] + bias(place, 1u, gate);
}

// The sums of one batch element, by gate from FIRST_GATE on.
fn set_sums(g0: vec4<f32>, g1: vec4<f32>, g2: vec4<f32>, g3: vec4<f32>) {
    sums[FIRST_GATE] = g0;
    if SUMMED > 1u {
        sums[1] = g1;
    }
    if SUMMED > 2u {
        sums[2] = g2;
    }
    if SUMMED > 3u {
        sums[3] = g3;
    }
}

// Takes one batch element a product further, for one group of units. `at` and `k` are where its state stands among those of the kernel,
// which loads and stores it.
fn take_product(place: Place, element: u32, at: u32, k: u32) {
    var h = vec4<f32>(0.0);
    if params.has_state != 0u && PRODUCT == 2u {
        sums[0] = load_state(at, k, SUMS_OF_GATE_0);
        h = load_state(at, k, UNSCALED);
    } else if params.has_state != 0u {
        h = load_state(at, k, 0u);
    }
    if PRODUCT == 1u {
        store_state(at, k, SCALED, scaled_state(place, h));
        store_state(at, k, SUMS_OF_GATE_0, sums[0]);
        store_state(at, k, UNSCALED, h);
        return;
    }
    let row = state_row(place.direction, element);
    memory[0] = vec4<f32>(0.0);
    if HAS_CELL_STATE {
        memory[0] = memory_group(row, place.unit);
    }
    var written = vec4<f32>(0.0);
    if params.first_step < length_of(element) {
        h = next_state(place, h);
        written = h;
    }
    let start = row * params.hidden + place.unit * 4u;
    let output = output_start(place.row, place.direction, element) + place.unit * 4u;
    for (var i = 0u; i < min(4u, params.hidden - place.unit * 4u); i++) {
        answer_state(start + i, h[i]);
        if HAS_MEMORY {
            last_memory[start + i] = memory[0][i];
        }
        if WRITES_STEPS {
            y[output + i] = written[i];
        }
    }
    store_state(at, k, 0u, h);
}
