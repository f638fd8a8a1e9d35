// MaxPool that also says where in the whole input each largest value stands, the first of equals.

// 1: positions within a plane count the first spatial axis fastest, 0: the last.
override COLUMN_MAJOR: u32;

@group(0) @binding(3) var<storage, read_write> positions: array<i32>; // [planes, output extents]

fn store_position(index: u32, start: i32, at: vec3<i32>, extent: vec3<i32>) {
    let rows = (at.x * extent.y + at.y) * extent.z + at.z;
    let columns = (at.z * extent.y + at.y) * extent.x + at.x;
    positions[index] = start + select(rows, columns, COLUMN_MAJOR == 1u);
}
