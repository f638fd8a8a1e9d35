// Element type of a reduction: f32, with what differs from integers.
alias Number = f32;

fn number_is_nan(value: Number) -> bool {
    // By its bits: comparing a NaN with itself does not tell on every driver.
    return (bitcast<u32>(value) & 0x7fffffffu) > 0x7f800000u;
}

// The greater of two; a NaN stays.
fn greater(a: Number, b: Number) -> Number {
    return select(select(b, a, a >= b), a, number_is_nan(a));
}

// The lesser of two; a NaN stays.
fn lesser(a: Number, b: Number) -> Number {
    return select(select(b, a, a <= b), a, number_is_nan(a));
}

fn least_number() -> Number {
    // A constant expression may not be infinite; a variable may.
    var bits = 0xff800000u;
    return bitcast<f32>(bits);
}

fn greatest_number() -> Number {
    return -least_number();
}

fn mean_of(sum: Number, count: u32) -> Number {
    return sum / f32(count);
}

fn root(value: Number) -> Number {
    return sqrt(value);
}

fn number_logarithm(value: Number) -> Number {
    // The built-in function need not know zero, nor what is less.
    var nowhere = 0x7fc00000u;
    let known = select(log(value), least_number(), value == 0.0);
    return select(known, bitcast<f32>(nowhere), value < 0.0);
}

// Where the sum of exponentials starts: finite, so that differences from it are no NaN.
fn exponent_start() -> Number {
    return -3.4028234e38;
}

// exp(value - highest), also where both are infinite.
fn exponential_below(value: Number, highest: Number) -> Number {
    return select(exp(value - highest), 1.0, value == highest);
}
