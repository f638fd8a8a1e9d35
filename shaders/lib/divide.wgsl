// Quotients of two numbers below 2^31, `by` above 0, without an integer division: software adapters do those lane by lane, and
// GPUs in more instructions than this.

// The quotient by way of the inverse of `by`, rounded to the nearest float.
fn quotient(number: u32, by: u32, inverse: f32) -> u32 {
    let n = i32(number);
    let d = i32(by);
    // Rounding leaves the first quotient off by a relative 2^-22, so the second by 1 at most.
    var first = i32(f32(n) * inverse);
    first += i32(floor(f32(n - first * d) * inverse));
    let rest = n - first * d;
    return u32(first + select(0, 1, rest >= d) - select(0, 1, rest < 0));
}

// The quotient of a number below 2^21: half of one over `by` is more than what rounding takes from the product.
fn small_quotient(number: u32, inverse: f32) -> u32 {
    return u32((f32(number) + 0.5) * inverse);
}

fn divide(number: u32, by: u32) -> u32 {
    return quotient(number, by, 1.0 / f32(by));
}
