// Scalar functions that WGSL lacks, or defines too loosely, on values of either width.
//
// Drivers may assume that no float is NaN or infinite and may reorder float arithmetic, so NaN is told by its bits.
// Polynomials are those of the Cephes library (S. L. Moshier, single precision), unless another source is named; each
// holds to a few units in the last place where it is used.

// --- floats as bits -------------------------------------------------------------------------------------------------

fn infinity() -> f32 {
    // A constant expression may not be infinite; a variable may.
    var bits = 0x7f800000u;
    return bitcast<f32>(bits);
}

fn not_a_number() -> f32 {
    var bits = 0x7fc00000u;
    return bitcast<f32>(bits);
}

// x, without a compiler knowing so: `zero` comes from a uniform.
fn hidden(x: Float, zero: Uint) -> Float {
    return bitcast<Float>(bitcast<Uint>(x) ^ zero);
}

fn magnitude_bits(x: Float) -> Uint {
    return bitcast<Uint>(x) & Uint(0x7fffffffu);
}

fn is_nan(x: Float) -> Bool {
    return magnitude_bits(x) > Uint(0x7f800000u);
}

fn is_infinite(x: Float) -> Bool {
    return magnitude_bits(x) == Uint(0x7f800000u);
}

// True below zero, for -0 and -infinity, but not for NaN.
fn is_negative(x: Float) -> Bool {
    return (bitcast<Uint>(x) - Uint(0x80000000u)) <= Uint(0x7f800000u);
}

// y, but NaN where x is.
fn keep_nan(x: Float, y: Float) -> Float {
    return select(y, x, is_nan(x));
}

// y, but x where that is zero: a sum of products loses the sign of -0.
fn keep_zero(x: Float, y: Float) -> Float {
    return select(y, x, x == Float(0.0));
}

fn truth(condition: Bool) -> Uint {
    return select(Uint(0u), Uint(1u), condition);
}

// The smaller of two numbers, and of two zeros the negative one. The built-in function may take either zero.
fn smaller(a: Float, b: Float) -> Float {
    return select(min(a, b), bitcast<Float>(bitcast<Uint>(a) | bitcast<Uint>(b)), a == b);
}

fn larger(a: Float, b: Float) -> Float {
    return select(max(a, b), bitcast<Float>(bitcast<Uint>(a) & bitcast<Uint>(b)), a == b);
}

// The smaller of two, NaN where either is.
fn minimum(a: Float, b: Float) -> Float {
    return keep_nan(a, keep_nan(b, smaller(a, b)));
}

fn maximum(a: Float, b: Float) -> Float {
    return keep_nan(a, keep_nan(b, larger(a, b)));
}

fn sign_of(x: Float) -> Float {
    // By way of integers, which have one zero.
    return keep_nan(x, Float(select(select(Int(0), Int(-1), x < Float(0.0)), Int(1), x > Float(0.0))));
}

// The nearest value that a 16-bit IEEE float has, ties to even.
fn round_f16(x: Float) -> Float {
    let size = magnitude_bits(x);
    let normal = (size + Uint(0xfffu) + ((size >> Uint(13u)) & Uint(1u))) & Uint(0xffffe000u);
    // Below 2^-14 the values are multiples of 2^-24.
    let subnormal = bitcast<Uint>(round(abs(x) * 16777216.0) * 5.9604644775390625e-8);
    var rounded = select(normal, subnormal, size < Uint(0x38800000u));
    rounded = select(rounded, Uint(0x7f800000u), normal >= Uint(0x47800000u));
    rounded = select(rounded, size, size > Uint(0x7f800000u));
    return bitcast<Float>(rounded | (bitcast<Uint>(x) & Uint(0x80000000u)));
}

// The nearest value that a brain float has, ties to even.
fn round_bf16(x: Float) -> Float {
    let bits = bitcast<Uint>(x);
    let rounded = (bits + Uint(0x7fffu) + ((bits >> Uint(16u)) & Uint(1u))) & Uint(0xffff0000u);
    return bitcast<Float>(select(rounded, bits, is_nan(x)));
}

// Toward zero, held within low..=high; NaN gives 0.
fn float_to_int(x: Float, low: f32, high: f32) -> Int {
    return Int(select(clamp(x, Float(low), Float(high)), Float(0.0), is_nan(x)));
}

fn float_to_uint(x: Float, high: f32) -> Uint {
    return Uint(select(clamp(x, Float(0.0), Float(high)), Float(0.0), is_nan(x)));
}

// --- integers -------------------------------------------------------------------------------------------------------
// A division by zero yields 0.

fn divide_int(a: Int, b: Int) -> Int {
    let zero = b == Int(0);
    return select(a / select(b, Int(1), zero), Int(0), zero);
}

fn divide_uint(a: Uint, b: Uint) -> Uint {
    let zero = b == Uint(0u);
    return select(a / select(b, Uint(1u), zero), Uint(0u), zero);
}

// The remainder with the sign of the dividend.
fn remainder_int(a: Int, b: Int) -> Int {
    let zero = b == Int(0);
    return select(a % select(b, Int(1), zero), Int(0), zero);
}

fn remainder_uint(a: Uint, b: Uint) -> Uint {
    let zero = b == Uint(0u);
    return select(a % select(b, Uint(1u), zero), Uint(0u), zero);
}

// The remainder with the sign of the divisor.
fn modulo_int(a: Int, b: Int) -> Int {
    let r = remainder_int(a, b);
    return select(r, r + b, (r != Int(0)) & ((r ^ b) < Int(0)));
}

// Powers with wrapping; 1 / base^-n truncated where the exponent is negative.
fn power_int(base: Int, exponent: Int) -> Int {
    var result = Int(1);
    var square = base;
    var left = bitcast<Uint>(abs(exponent));
    for (var bit = 0u; bit < 32u; bit++) {
        result = select(result, result * square, (left & Uint(1u)) == Uint(1u));
        square = square * square;
        left = left >> Uint(1u);
    }
    let inverse = select(Int(0), result, abs(base) == Int(1));
    return select(result, inverse, exponent < Int(0));
}

fn power_uint(base: Uint, exponent: Uint) -> Uint {
    var result = Uint(1u);
    var square = base;
    var left = exponent;
    for (var bit = 0u; bit < 32u; bit++) {
        result = select(result, result * square, (left & Uint(1u)) == Uint(1u));
        square = square * square;
        left = left >> Uint(1u);
    }
    return result;
}

// Shifts by the width and more give 0.
fn shift_left(x: Uint, count: Uint) -> Uint {
    return select(x << (count & Uint(31u)), Uint(0u), count > Uint(31u));
}

fn shift_right(x: Uint, count: Uint) -> Uint {
    return select(x >> (count & Uint(31u)), Uint(0u), count > Uint(31u));
}

fn shift_left_int(x: Int, count: Int) -> Int {
    return bitcast<Int>(shift_left(bitcast<Uint>(x), bitcast<Uint>(count)));
}

// A right shift fills with the sign.
fn shift_right_int(x: Int, count: Int) -> Int {
    return x >> min(bitcast<Uint>(count), Uint(31u));
}

// --- powers, exponentials, logarithms -------------------------------------------------------------------------------

// e^x = 2^n e^r with |r| <= log(2) / 2. The built-in `exp` may lose a digit for every power of ten in x.
fn exponential(x: Float) -> Float {
    let t = clamp(x, Float(-104.0), Float(89.0));
    let n = round(t * 1.4426950408889634);
    let r = (t - n * 0.693359375) + n * 2.12194440e-4;
    let p = (((((1.9875691500e-4 * r + 1.3981999507e-3) * r + 8.3334519073e-3) * r + 4.1665795894e-2) * r + 1.6666665459e-1) * r
        + 5.0000001201e-1) * r * r + r + 1.0;
    // 2^n as two factors, since neither 2^128 nor 2^-150 is a float.
    let half = Int(n) >> Uint(1u);
    let rest = Int(n) - half;
    return keep_nan(x, p * bitcast<Float>((half + Int(127)) << Uint(23u)) * bitcast<Float>((rest + Int(127)) << Uint(23u)));
}

// log x = n log 2 + log m with m in sqrt(1/2)..sqrt(2). The built-in `log` has few good digits near 1.
fn logarithm(x: Float) -> Float {
    let subnormal = magnitude_bits(x) < Uint(0x00800000u);
    let scaled = select(x, x * 8388608.0, subnormal);
    let bits = bitcast<Int>(scaled);
    let n = (bits - Int(0x3f3504f3)) >> Uint(23u);
    let r = bitcast<Float>(bits - (n << Uint(23u))) - 1.0;
    let e = Float(n) - select(Float(0.0), Float(23.0), subnormal);
    let value = (log1p_tail(r) - e * 2.12194440e-4) + r + e * 0.693359375;
    let special = select(x, Float(-infinity()), scaled == Float(0.0));
    return select(select(value, special, (scaled == Float(0.0)) | is_infinite(x)), Float(not_a_number()), (x < Float(0.0)) | is_nan(x));
}

// log(1 + r) - r for r in -0.3..0.42
fn log1p_tail(r: Float) -> Float {
    let p = (((((((7.0376836292e-2 * r - 1.1514610310e-1) * r + 1.1676998740e-1) * r - 1.2420140846e-1) * r + 1.4249322787e-1) * r
        - 1.6668057665e-1) * r + 2.0000714765e-1) * r - 2.4999993993e-1) * r + 3.3333331174e-1;
    return p * r * r * r - 0.5 * r * r;
}

// x^(1/2), which differs from a root at two places: that of -0 is -0, and that of -infinity NaN.
fn square_root(x: Float) -> Float {
    let bits = bitcast<Uint>(x);
    return sqrt(select(x, abs(x), (bits == Uint(0x80000000u)) | (bits == Uint(0xff800000u))));
}

// x^(-1/2)
fn inverse_square_root(x: Float) -> Float {
    return 1.0 / square_root(x);
}

// C's pow: any base with an integral exponent, NaN for a negative one with another; what holds at zeros and infinities is told by
// their bits.
fn power(base: Float, exponent: Float) -> Float {
    let size = abs(base);
    let n = abs(exponent);
    let integral = floor(n) == n;
    let odd = integral & ((n - 2.0 * floor(n * 0.5)) == Float(1.0)) & !is_infinite(exponent);
    let inverse = is_negative(exponent);
    // Integral exponents to 63 by squaring: x^2 is x * x to the last bit.
    var product = Float(1.0);
    var square = size;
    var left = Uint(min(n, Float(64.0)));
    for (var bit = 0u; bit < 6u; bit++) {
        product = select(product, product * square, (left & Uint(1u)) == Uint(1u));
        square = square * square;
        left = left >> Uint(1u);
    }
    product = select(product, 1.0 / product, inverse);
    var result = select(exp2(exponent * log2(size)), product, integral & (n < Float(64.0)));
    // What grows without bound and what vanishes.
    let large = size > Float(1.0);
    let extreme = is_infinite(base) | is_infinite(exponent) | (magnitude_bits(base) == Uint(0u));
    result = select(result, select(Float(0.0), Float(infinity()), large != inverse), extreme);
    result = select(result, -result, odd & is_negative(base));
    let nowhere = is_negative(base) & !integral & !extreme;
    result = select(result, Float(not_a_number()), nowhere | is_nan(base) | is_nan(exponent));
    let one = (base == Float(1.0)) | ((size == Float(1.0)) & is_infinite(exponent)) | (magnitude_bits(exponent) == Uint(0u));
    return select(result, Float(1.0), one);
}

// A float without its sign is an integer times a power of two: significand * 2^(exponent_of - 150).
fn significand(size: Uint) -> Uint {
    return (size & Uint(0x007fffffu)) | select(Uint(0u), Uint(0x00800000u), size >= Uint(0x00800000u));
}

fn exponent_of(size: Uint) -> Uint {
    return max(size >> Uint(23u), Uint(1u));
}

// The remainder of a division truncated toward zero, with the sign of the dividend: exact, by long division of the significands as
// integers, eight bits at a time. The quotient of the floats would say nothing where it has more than 24 bits, and drivers divide
// floats by a rounded reciprocal.
fn remainder(a: Float, b: Float) -> Float {
    let dividend = magnitude_bits(a);
    let divisor = magnitude_bits(b);
    let unit = exponent_of(divisor);
    let by = max(significand(divisor), Uint(1u));
    // A dividend of a smaller exponent is the remainder. The longest division takes 32 steps.
    let below = exponent_of(dividend) < unit;
    var left = select(exponent_of(dividend) - unit, Uint(0u), below);
    var rest = significand(dividend) % by;
    for (var step = 0u; step < 32u; step++) {
        if !any(left > Uint(0u)) {
            break;
        }
        let bits = min(left, Uint(8u));
        rest = (rest << bits) % by;
        left -= bits;
    }
    // Back to a float, whose significand has 24 bits unless its exponent is the least.
    let shift = min(countLeadingZeros(rest | Uint(1u)) - Uint(8u), unit - Uint(1u));
    let scaled = rest << shift;
    let normal = scaled + ((unit - shift - Uint(1u)) << Uint(23u));
    var size = select(normal, dividend, below);
    size = select(size, Uint(0u), (rest == Uint(0u)) & !below);
    let undefined = (dividend >= Uint(0x7f800000u)) | (divisor > Uint(0x7f800000u)) | (divisor == Uint(0u));
    size = select(size, Uint(0x7fc00000u), undefined);
    return bitcast<Float>(size | (bitcast<Uint>(a) & Uint(0x80000000u)));
}

// The remainder with the sign of the divisor.
fn modulo(a: Float, b: Float) -> Float {
    let r = remainder(a, b);
    let zero = magnitude_bits(r) == Uint(0u);
    let negative = bitcast<Uint>(b) & Uint(0x80000000u);
    return select(select(r, r + b, is_negative(r) != is_negative(b)), bitcast<Float>(negative), zero);
}

// e^x - 1
fn expm1(x: Float) -> Float {
    // The Taylor series to x^8.
    let series = ((((((x / 40320.0 + 1.0 / 5040.0) * x + 1.0 / 720.0) * x + 1.0 / 120.0) * x + 1.0 / 24.0) * x + 1.0 / 6.0) * x + 0.5) * x * x + x;
    return select(exponential(x) - 1.0, series, abs(x) < Float(0.5));
}

// log(1 + x) for x >= 0
fn log1p(x: Float) -> Float {
    return select(logarithm(1.0 + x), x + log1p_tail(x), x < Float(0.4));
}

// The error function, after N. Juffa (https://stackoverflow.com/a/35148199): erfc is the exponential of a polynomial.
fn erf(x: Float) -> Float {
    let t = min(abs(x), Float(4.0));
    let s = t * t;
    var big = (-1.72853470e-5 * t + 3.83197126e-4) * s + (-3.88396438e-3 * t + 2.42546219e-2);
    big = ((big * t - 1.06777877e-1) * t - 6.34846687e-1) * t - 1.28717512e-1;
    big = 1.0 - exponential(big * t - t);
    big = select(big, -big, is_negative(x));
    let z = x * x;
    let small = (((((-5.96761703e-4 * z + 4.99119423e-3) * z - 2.67681349e-2) * z + 1.12819925e-1) * z - 3.76125336e-1) * z + 1.28379166e-1) * x + x;
    return select(small, big, abs(x) > Float(0.927734375));
}

// 1 - erf(x) for x >= 0, with as many good digits where it is small (Numerical Recipes, 2nd edition, section 6.2, erfcc).
fn erfc(x: Float) -> Float {
    let t = 1.0 / (1.0 + 0.5 * x);
    let p = ((((((((0.17087277 * t - 0.82215223) * t + 1.48851587) * t - 1.13520398) * t + 0.27886807) * t - 0.18628806) * t + 0.09678418) * t
        + 0.37409196) * t + 1.00002368) * t - 1.26551223;
    return t * exponential(p - x * x);
}

// --- hyperbolic functions -------------------------------------------------------------------------------------------

fn hyperbolic_sine(x: Float) -> Float {
    let z = x * x;
    let small = ((2.03721912945e-4 * z + 8.33028376239e-3) * z + 1.66667160211e-1) * z * x + x;
    // Half the argument, so that e^x does not overflow before the result does.
    let half = exponential(0.5 * abs(x));
    let big = 0.5 * half * half - 0.5 / (half * half);
    return select(small, select(big, -big, is_negative(x)), abs(x) > Float(1.0));
}

fn hyperbolic_cosine(x: Float) -> Float {
    let half = exponential(0.5 * abs(x));
    return 0.5 * half * half + 0.5 / (half * half);
}

fn hyperbolic_tangent(x: Float) -> Float {
    let z = x * x;
    let small = ((((-5.70498872745e-3 * z + 2.06390887954e-2) * z - 5.37397155531e-2) * z + 1.33314422036e-1) * z - 3.33332819422e-1) * z * x + x;
    // Past 10 the result is 1, and e^2x would overflow at 44.
    let big = 1.0 - 2.0 / (exponential(2.0 * min(abs(x), Float(10.0))) + 1.0);
    return select(keep_zero(x, small), select(big, -big, is_negative(x)), abs(x) > Float(0.625));
}

fn inverse_hyperbolic_sine(x: Float) -> Float {
    let t = abs(x);
    let z = x * x;
    let small = (((2.0122003309e-2 * z - 4.2699340972e-2) * z + 7.4847586088e-2) * z - 1.6666288134e-1) * z * x + x;
    let big = select(logarithm(t + sqrt(z + 1.0)), logarithm(t) + 0.6931471805599453, t > Float(1500.0));
    return select(keep_zero(x, small), select(big, -big, is_negative(x)), t > Float(0.5));
}

fn inverse_hyperbolic_cosine(x: Float) -> Float {
    let z = x - 1.0;
    let small = ((((1.7596881071e-3 * z - 7.5272886713e-3) * z + 2.6454905019e-2) * z - 1.1784741703e-1) * z + 1.4142135263) * sqrt(z);
    let big = select(logarithm(x + sqrt(z * (x + 1.0))), logarithm(x) + 0.6931471805599453, x > Float(1500.0));
    return select(select(big, small, z < Float(0.5)), Float(not_a_number()), z < Float(0.0));
}

fn inverse_hyperbolic_tangent(x: Float) -> Float {
    let z = x * x;
    let small = ((((1.81740078349e-1 * z + 8.24370301058e-2) * z + 1.46691431730e-1) * z + 1.99782164500e-1) * z + 3.33337300303e-1) * z * x + x;
    return select(0.5 * logarithm((1.0 + x) / (1.0 - x)), small, abs(x) < Float(0.5));
}

// --- circular functions ---------------------------------------------------------------------------------------------

// Sine of x + quarter * pi / 2: reduced by multiples of pi / 2 in three parts (exact for arguments to 8192).
fn sine_from(x: Float, quarter: u32) -> Float {
    let n = round(x * 0.6366197723675814);
    let reduced = ((x - n * 1.5703125) - n * 4.837512969970703125e-4) - n * 7.54978995489188216e-8;
    let r = select(reduced, x, n == Float(0.0));
    let z = r * r;
    let sine = keep_zero(r, ((-1.9515295891e-4 * z + 8.3321608736e-3) * z - 1.6666654611e-1) * z * r + r);
    let cosine = ((2.443315711809948e-5 * z - 1.388731625493765e-3) * z + 4.166664568298827e-2) * z * z - 0.5 * z + 1.0;
    let turn = bitcast<Uint>(float_to_int(n, -2147483648.0, 2147483520.0)) + quarter;
    let value = select(sine, cosine, (turn & Uint(1u)) == Uint(1u));
    return select(value, -value, (turn & Uint(2u)) == Uint(2u));
}

fn sine(x: Float) -> Float {
    return sine_from(x, 0u);
}

fn cosine(x: Float) -> Float {
    return sine_from(x, 1u);
}

fn tangent(x: Float) -> Float {
    return sine_from(x, 0u) / sine_from(x, 1u);
}

fn inverse_sine(x: Float) -> Float {
    let t = abs(x);
    let far = t > Float(0.5);
    // asin(t) = pi / 2 - 2 asin(sqrt((1 - t) / 2))
    let z = select(t * t, 0.5 * (1.0 - t), far);
    let s = select(t, sqrt(z), far);
    let p = ((((4.2163199048e-2 * z + 2.4181311049e-2) * z + 4.5470025998e-2) * z + 7.4953002686e-2) * z + 1.6666752422e-1) * z * s + s;
    let value = select(p, 1.5707963267948966 - 2.0 * p, far);
    return select(select(value, -value, is_negative(x)), Float(not_a_number()), t > Float(1.0));
}

fn inverse_cosine(x: Float) -> Float {
    let t = abs(x);
    // acos(t) = 2 asin(sqrt((1 - t) / 2)) keeps its digits near 1.
    let near = 2.0 * inverse_sine(sqrt(0.5 * (1.0 - t)));
    let far = select(near, 3.141592653589793 - near, is_negative(x));
    return select(select(1.5707963267948966 - inverse_sine(x), far, t > Float(0.5)), Float(not_a_number()), t > Float(1.0));
}

fn inverse_tangent(x: Float) -> Float {
    let t = abs(x);
    let middle = t > Float(0.4142135623730950);
    let far = t > Float(2.414213562373095);
    let start = select(select(Float(0.0), Float(0.7853981633974483), middle), Float(1.5707963267948966), far);
    let s = select(select(t, (t - 1.0) / (t + 1.0), middle), -1.0 / t, far);
    let z = s * s;
    let value = start + ((((8.05374449538e-2 * z - 1.38776856032e-1) * z + 1.99777106478e-1) * z - 3.33329491539e-1) * z * s + s);
    return select(value, -value, is_negative(x));
}

// --- activations ----------------------------------------------------------------------------------------------------

fn relu(x: Float) -> Float {
    return select(x, Float(0.0), is_negative(x));
}

fn sigmoid(x: Float) -> Float {
    return 1.0 / (1.0 + exponential(-x));
}

fn hard_sigmoid(x: Float, alpha: Float, beta: Float) -> Float {
    let y = alpha * x + beta;
    return keep_nan(y, min(relu(y), Float(1.0)));
}

fn leaky_relu(x: Float, slope: Float) -> Float {
    return select(x, slope * x, x < Float(0.0));
}

fn thresholded_relu(x: Float, alpha: Float) -> Float {
    return keep_nan(x, select(Float(0.0), x, x > alpha));
}

fn elu(x: Float, alpha: Float) -> Float {
    return select(x, alpha * expm1(x), x < Float(0.0));
}

fn celu(x: Float, alpha: Float) -> Float {
    return select(x, alpha * expm1(x / alpha), x < Float(0.0));
}

fn selu(x: Float, alpha: Float, gamma: Float) -> Float {
    return gamma * elu(x, alpha);
}

fn gelu(x: Float) -> Float {
    let tail = erfc(abs(x) * 0.7071067811865476);
    return 0.5 * x * select(2.0 - tail, tail, is_negative(x));
}

// Gelu with the tanh approximation; (1 + tanh u) / 2 is the sigmoid of 2u.
fn gelu_tanh(x: Float) -> Float {
    return x * sigmoid(1.5957691216057308 * (x + 0.044715 * x * x * x));
}

fn swish(x: Float, alpha: Float) -> Float {
    return x * sigmoid(alpha * x);
}

fn softplus(x: Float) -> Float {
    return max(x, Float(0.0)) + log1p(exponential(-abs(x)));
}

// x tanh(softplus x), with tanh(log(1 + n)) = n (n + 2) / (n (n + 2) + 2)
fn mish(x: Float) -> Float {
    let n = exponential(min(x, Float(20.0)));
    let w = n * (n + 2.0);
    return x * (w / (w + 2.0));
}

fn softsign(x: Float) -> Float {
    return x / (1.0 + abs(x));
}

fn shrink(x: Float, bias: Float, lambda: Float) -> Float {
    return select(select(Float(0.0), x - bias, x > lambda), x + bias, x < -lambda);
}
