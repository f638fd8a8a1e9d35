// What kernels share that read image rows under the windows of four neighbouring outputs. A kernel defines `run`, which does the
// work of a place, and `segments`, into how many parts it divides a plane; what reads the rows has the entry point.

// Input columns that four neighbouring outputs see.
const COLUMNS: u32 = 3u * STRIDE_WIDTH + (KERNEL_WIDTH - 1u) * DILATION_WIDTH + 1u;
alias Row = array<f32, COLUMNS>;

// Groups of four columns of an output row.
fn quads() -> u32 {
    return (params.output_width + 3u) / 4u;
}

// Four columns of a segment of a plane; `owned` where this invocation is the one that stores them.
struct Place {
    plane: u32,
    segment: u32,
    quad: u32,
    owned: bool,
}
