// Width 4: generated functions handle four neighbouring elements at a time.
alias Float = vec4<f32>;
alias Int = vec4<i32>;
alias Uint = vec4<u32>;
alias Bool = vec4<bool>;
const WIDTH: u32 = 4u;

fn sum_of(value: Float) -> f32 {
    return (value.x + value.y) + (value.z + value.w);
}

fn max_of(value: Float) -> f32 {
    return max(max(value.x, value.y), max(value.z, value.w));
}
