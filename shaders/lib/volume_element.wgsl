// An element of a batch of volumes, numbered row-major: which volume, and where in it (depth, height, width). Wants `DIVIDE`.
struct Element {
    volume: u32,
    at: vec3<u32>,
}

fn element(index: u32, extents: vec3<u32>) -> Element {
    let line = divide(index, extents.z);
    let slice = divide(line, extents.y);
    let volume = divide(slice, extents.x);
    return Element(volume, vec3(slice - volume * extents.x, line - slice * extents.y, index - line * extents.z));
}
