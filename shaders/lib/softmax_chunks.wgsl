// What the two kernels of softmax over long rows share: parameters, and where a row begins.
struct Params {
    rows: u32,
    length: u32, // counted in groups of WIDTH values, as is `chunk`
    stride: u32, // from a value of a row to the next; 1 where groups are of several
    chunk: u32,
    chunks: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Stored>; // [rows / stride, length, stride]

fn row_start(row: u32) -> u32 {
    return (row / params.stride) * params.length * params.stride + row % params.stride;
}
