// Rows that several workgroups share: `params.chunks` chunks of each, of `params.chunk` loads.
struct Chunk {
    row: u32,
    first: u32,
    last: u32, // past the end
}

// Chunk `number` of all, of rows of so many loads.
fn chunk_at(number: u32, length: u32) -> Chunk {
    let first = (number % params.chunks) * params.chunk;
    return Chunk(number / params.chunks, first, min(first + params.chunk, length));
}
