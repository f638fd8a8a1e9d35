// Element type of a reduction: i32. Roots, logarithms and exponentials are not asked of integers.
alias Number = i32;

fn number_is_nan(value: Number) -> bool {
    return false;
}

fn greater(a: Number, b: Number) -> Number {
    return max(a, b);
}

fn lesser(a: Number, b: Number) -> Number {
    return min(a, b);
}

fn least_number() -> Number {
    return -2147483647i - 1i;
}

fn greatest_number() -> Number {
    return 2147483647i;
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
