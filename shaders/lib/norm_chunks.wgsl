// What the kernels of normalization over long rows share: parameters, and how many values a chunk has.
struct Params {
    rows: u32,
    columns: u32, // counted in groups of WIDTH values, as are `chunk` and `spatial`
    chunk: u32,
    chunks: u32,
    period: u32,
    step: u32,
    spatial: u32,
    epsilon: f32,
}

@group(0) @binding(0) var<uniform> params: Params;

// Values in chunk `k`; only the last can be shorter.
fn count_of(k: u32) -> f32 {
    return f32(min(params.chunk, params.columns - k * params.chunk) * WIDTH);
}
