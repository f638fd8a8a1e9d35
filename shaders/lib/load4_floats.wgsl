// A reduction reads four neighbouring floats at a time.
alias Load = Four;

fn fold_load(state: vec2<Number>, load: Load) -> vec2<Number> {
    let value = four(load);
    return fold_in(fold_in(fold_in(fold_in(state, value.x), value.y), value.z), value.w);
}
