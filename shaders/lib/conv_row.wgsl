// What kernels share that read image rows under the windows of four neighbouring outputs: the entry point too. A kernel defines
// `run`, which does the work of a place, and `segments`, into how many parts it divides a plane.

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

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = place(workgroup, workgroups, lane);
    if at.plane >= params.planes {
        return;
    }
    run(at, lane);
}
