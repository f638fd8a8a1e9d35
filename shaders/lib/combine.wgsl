// Two elements of any scalar type combined into one, as bit patterns.

override SCALAR: u32; // 0: f32, 1: i32, 2: u32
override REDUCTION: u32; // 0: sum, 1: product, 2: larger, 3: smaller

fn combine(a: u32, b: u32) -> u32 {
    if SCALAR == 0u {
        let x = bitcast<f32>(a);
        let y = bitcast<f32>(b);
        switch REDUCTION {
            case 0u: { return bitcast<u32>(x + y); }
            case 1u: { return bitcast<u32>(x * y); }
            case 2u: { return bitcast<u32>(max(x, y)); }
            default: { return bitcast<u32>(min(x, y)); }
        }
    }
    // Sums and products wrap alike for both kinds of integer.
    switch REDUCTION {
        case 0u: { return a + b; }
        case 1u: { return a * b; }
        default: {}
    }
    var a_is_larger = a > b;
    if SCALAR == 1u {
        a_is_larger = bitcast<i32>(a) > bitcast<i32>(b);
    }
    return select(b, a, a_is_larger == (REDUCTION == 2u));
}
