// What both integers have in common as the element type of a reduction. Roots, logarithms and exponentials are not asked of them.

fn number_is_nan(value: Number) -> bool {
    return false;
}

fn greater(a: Number, b: Number) -> Number {
    return max(a, b);
}

fn lesser(a: Number, b: Number) -> Number {
    return min(a, b);
}

fn mean_of(sum: Number, count: u32) -> Number {
    return sum / Number(max(count, 1u));
}

fn root(value: Number) -> Number {
    return value;
}

fn number_logarithm(value: Number) -> Number {
    return value;
}

fn exponent_start() -> Number {
    return Number(0);
}

fn exponential_below(value: Number, highest: Number) -> Number {
    return Number(1);
}
