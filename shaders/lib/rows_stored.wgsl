// What a kernel of rows reads, in groups as the width prelude says, from storage.
@group(0) @binding(1) var<storage, read> x: array<Stored>; // [rows, COLUMNS]

fn x_at(index: u32) -> Float {
    return floats(x[index]);
}
