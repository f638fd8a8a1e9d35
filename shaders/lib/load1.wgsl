// A reduction reads one value at a time.
alias Load = Number;

fn fold_load(state: vec2<Number>, load: Load) -> vec2<Number> {
    return fold_in(state, load);
}
