// A reduction writes its floats, through the epilogue.
@group(0) @binding(2) var<storage, read_write> y: array<f32>; // [outputs]

fn emit(index: u32, state: vec2<Number>) {
    y[index] = epilogue(fold_finish(state, params.count), index);
}
