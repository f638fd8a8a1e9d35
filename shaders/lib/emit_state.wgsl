// A reduction writes states, which a later kernel joins.
@group(0) @binding(2) var<storage, read_write> states: array<vec2<Number>>; // [outputs, chunks]

fn emit(index: u32, state: vec2<Number>) {
    states[index] = state;
}
