// What kernels share that read image rows under the windows of four neighbouring outputs.

// Input columns that four neighbouring outputs see.
const COLUMNS: u32 = 3u * STRIDE_WIDTH + (KERNEL_WIDTH - 1u) * DILATION_WIDTH + 1u;
// Groups of four columns of an output row.
const QUADS: u32 = (OUTPUT_WIDTH + 3u) / 4u;

alias Row = array<f32, COLUMNS>;

// Four columns of a segment of a plane; `owned` where this invocation is the one that stores them.
struct Place {
    plane: u32,
    segment: u32,
    quad: u32,
    owned: bool,
}
