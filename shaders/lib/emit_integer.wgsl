// A reduction writes its integers.
@group(0) @binding(2) var<storage, read_write> y: array<Number>; // [outputs]

fn emit(index: u32, state: vec2<Number>) {
    y[index] = fold_finish(state, params.count);
}
