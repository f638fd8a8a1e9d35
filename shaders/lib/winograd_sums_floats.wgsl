// Winograd's sums in a buffer, with filters as rows and tiles as columns.
@group(0) @binding(1) var<storage, read> sums: array<f32>; // [36, groups, rows, columns]

alias Filters = f32;
const TOGETHER: u32 = 1u;

fn spot(index: u32) -> Spot {
    let row = divide(index, params.columns);
    let group = divide(row, params.rows);
    return Spot(group, row - group * params.rows, index - row * params.columns, index);
}

fn load_sum(first: u32, k: u32) -> Filters {
    return sums[first + k * params.count];
}

fn one(filters: Filters, i: u32) -> f32 {
    return filters;
}
