// Takes lowest; attention (LENGTHS, head_at); four_words; attention_query_vectors or attention_query_scalars;
// attention_key_vectors or attention_key_scalars (key_group, value_group); texels (texel).
// First of two attention kernels for software adapters: packs keys and values into textures, blocks of eight keys side by
// side, which the second reads once for each block of queries.
//
// A workgroup of eight lanes packs one block of one head, a lane its own key. Keys past the end are zeros.
@group(0) @binding(6) var packed_keys: texture_storage_2d<rgba32float, write>; // [batch, key heads, blocks, GROUPS, 8]
@group(0) @binding(7) var packed_values: texture_storage_2d<rgba32float, write>; // [batch, key heads, blocks, VALUE_GROUPS, 8]

@compute @workgroup_size(8)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let blocks = (params.keys + 7u) / 8u;
    let number = workgroup.x + workgroup.y * workgroups.x;
    let row = number / blocks * params.shared_by;
    if row >= params.rows {
        return;
    }
    let head = head_at(row);
    let first = number % blocks * 8u;
    if LENGTHS && first >= head.keys {
        return;
    }
    let key = first + lane;
    let at = min(key, head.keys - 1u);
    for (var group = 0u; group < GROUPS; group++) {
        let to = texel((number * GROUPS + group) * 8u + lane);
        textureStore(packed_keys, to, select(vec4<f32>(0.0), key_group(head, at, group), key < head.keys));
    }
    for (var group = 0u; group < VALUE_GROUPS; group++) {
        let to = texel((number * VALUE_GROUPS + group) * 8u + lane);
        textureStore(packed_values, to, select(vec4<f32>(0.0), value_group(head, at, group), key < head.keys));
    }
}
