// Pooling that nobody asks for positions.
fn store_position(index: u32, start: i32, at: vec3<i32>, extent: vec3<i32>) {}
