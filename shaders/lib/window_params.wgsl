// Parameters of kernels where an invocation makes one element by walking a sliding window. Output o and tap k meet at input
// o * stride + k * dilation - begin along each axis.
struct Params {
    input_extents: vec4<u32>, // depth, height, width, 1
    output_extents: vec4<u32>,
    kernel_extents: vec4<u32>,
    strides: vec4<u32>,
    dilations: vec4<u32>,
    begins: vec4<i32>,
    padded_extents: vec4<i32>, // input extents and the padding at the end
    count: u32,    // elements that are made
    groups: u32,   // of a convolution
    channels: u32, // of the input, in one group
    filters: u32,  // of the output, in one group
    power: f32,    // of a pooling
}

@group(0) @binding(0) var<uniform> params: Params;
