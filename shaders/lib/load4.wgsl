// A reduction reads four neighbouring values at a time.
alias Load = vec4<Number>;

fn fold_load(state: vec2<Number>, load: Load) -> vec2<Number> {
    return fold_in(fold_in(fold_in(fold_in(state, load.x), load.y), load.z), load.w);
}
