// The ten reductions as one: a state that values are folded into. `const FOLD: u32` says which of them, a number prelude
// what a Number is. Only LOG_SUM_EXP uses both members of a state: the greatest value, and the sum of exponentials below it.
const SUM: u32 = 0u;
const MEAN: u32 = 1u;
const MAX: u32 = 2u;
const MIN: u32 = 3u;
const PROD: u32 = 4u;
const L1: u32 = 5u;
const L2: u32 = 6u;
const LOG_SUM: u32 = 7u;
const LOG_SUM_EXP: u32 = 8u;
const SUM_SQUARE: u32 = 9u;

fn fold_start() -> vec2<Number> {
    switch FOLD {
        case MAX: {
            return vec2<Number>(least_number(), Number(0));
        }
        case MIN: {
            return vec2<Number>(greatest_number(), Number(0));
        }
        case PROD: {
            return vec2<Number>(Number(1), Number(0));
        }
        case LOG_SUM_EXP: {
            return vec2<Number>(exponent_start(), Number(0));
        }
        default: {
            return vec2<Number>(Number(0), Number(0));
        }
    }
}

// Two states as one.
fn fold_join(a: vec2<Number>, b: vec2<Number>) -> vec2<Number> {
    switch FOLD {
        case MAX: {
            return vec2<Number>(greater(a.x, b.x), a.y);
        }
        case MIN: {
            return vec2<Number>(lesser(a.x, b.x), a.y);
        }
        case PROD: {
            return vec2<Number>(a.x * b.x, a.y);
        }
        case LOG_SUM_EXP: {
            let highest = max(a.x, b.x);
            return vec2<Number>(highest, a.y * exponential_below(a.x, highest) + b.y * exponential_below(b.x, highest));
        }
        default: {
            return a + b;
        }
    }
}

// One more value.
fn fold_in(state: vec2<Number>, value: Number) -> vec2<Number> {
    switch FOLD {
        case L1: {
            return state + vec2<Number>(abs(value), Number(0));
        }
        case L2, SUM_SQUARE: {
            return state + vec2<Number>(value * value, Number(0));
        }
        case LOG_SUM_EXP: {
            return fold_join(state, vec2<Number>(value, Number(1)));
        }
        default: {
            return fold_join(state, vec2<Number>(value, Number(0)));
        }
    }
}

// The result, once `count` values are folded in.
fn fold_finish(state: vec2<Number>, count: u32) -> Number {
    switch FOLD {
        case MEAN: {
            return mean_of(state.x, count);
        }
        case L2: {
            return root(state.x);
        }
        case LOG_SUM: {
            return number_logarithm(state.x);
        }
        case LOG_SUM_EXP: {
            return state.x + number_logarithm(state.y);
        }
        default: {
            return state.x;
        }
    }
}
