// Width 1: generated functions handle one element at a time.
alias Float = f32;
alias Int = i32;
alias Uint = u32;
alias Bool = bool;
const WIDTH: u32 = 1u;

fn sum_of(value: Float) -> f32 {
    return value;
}

fn max_of(value: Float) -> f32 {
    return value;
}
