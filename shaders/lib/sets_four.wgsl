// A reduction reads a value of each of four sets at a time, which lie side by side. Goes with `LOAD4_FLOATS`.
const SETS_OF_LOAD: u32 = 4u;
alias States = array<vec2<Number>, 4>;

// Folds in the four values from a place on, counted in values.
fn fold_sets(states: ptr<function, States>, at: u32) {
    let values = four(x[at / 4u]);
    for (var k = 0u; k < 4u; k++) {
        (*states)[k] = fold_in((*states)[k], values[k]);
    }
}
