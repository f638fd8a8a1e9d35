// An element of a batch of volumes, numbered row-major: which volume, and where in it (depth, height, width).
struct Element {
    volume: u32,
    at: vec3<u32>,
}

fn element(index: u32, extents: vec3<u32>) -> Element {
    let line = index / extents.z;
    let slice = line / extents.y;
    let volume = slice / extents.x;
    return Element(volume, vec3(slice - volume * extents.x, line - slice * extents.y, index - line * extents.z));
}
