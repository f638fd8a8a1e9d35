// Width 4: generated functions handle four neighbouring elements at a time.
alias Float = vec4<f32>;
alias Int = vec4<i32>;
alias Uint = vec4<u32>;
alias Bool = vec4<bool>;
