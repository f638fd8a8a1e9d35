// The quotient of two numbers below 2^31, `by` above 0, without an integer division: software adapters do those lane by
// lane, and GPUs in more instructions than this.
fn divide(number: u32, by: u32) -> u32 {
    let n = i32(number);
    let d = i32(by);
    let inverse = 1.0 / f32(d);
    // Rounding leaves the first quotient off by a relative 2^-22, so the second by 1 at most.
    var quotient = i32(f32(n) * inverse);
    quotient += i32(floor(f32(n - quotient * d) * inverse));
    let rest = n - quotient * d;
    return u32(quotient + select(0, 1, rest >= d) - select(0, 1, rest < 0));
}
