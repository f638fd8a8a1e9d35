// Invocations that read rows of an image each by itself: neighbours meet in the cache. They are numbered through; the grid is
// one-dimensional, folded into y.
@compute @workgroup_size(LANES)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>) {
    let item = id.x + id.y * workgroups.x * LANES;
    let segment = divide(item, quads());
    let plane = divide(segment, segments());
    if plane < params.planes {
        run(Place(plane, segment - plane * segments(), item - segment * quads(), true), 0u);
    }
}
