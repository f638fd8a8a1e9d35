// A reduction reads values of one set at a time. Wants a load prelude.
const SETS_OF_LOAD: u32 = 1u;
alias States = array<vec2<Number>, 1>;

// Folds in what stands at a place, counted in loads.
fn fold_sets(states: ptr<function, States>, at: u32) {
    (*states)[0] = fold_load((*states)[0], x[at]);
}
