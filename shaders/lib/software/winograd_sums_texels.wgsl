// Winograd's sums in a texture, four filters a texel: blocks of `block` tiles by panels of 4 * `const LANES` filters.
@group(0) @binding(1) var sums: texture_storage_2d<rgba32float, read>; // [groups, blocks, panels, 36, block, LANES]

alias Filters = vec4<f32>;
const TOGETHER: u32 = 4u;

fn spot(index: u32) -> Spot {
    let row = index / LANES;
    let part = divide(row, params.block);
    let block = divide(part, params.columns);
    let group = divide(block, params.rows);
    let tile = (block - group * params.rows) * params.block + row - part * params.block;
    let filter_index = ((part - block * params.columns) * LANES + index - row * LANES) * 4u;
    return Spot(group, filter_index, tile, part * 36u * params.block * LANES + index - part * params.block * LANES);
}

fn load_sum(first: u32, k: u32) -> Filters {
    return textureLoad(sums, texel(first + k * params.block * LANES));
}

fn one(filters: Filters, i: u32) -> f32 {
    return filters[i];
}
