// Takes reduce_sets (load_position, set_start); number_f32; fold (fold_in, fold_start); four_words (four); load4_floats;
// emit_float (emit); an epilogue.
// Reduces sets of values that lie side by side in memory, an invocation for four neighbouring sets and a chunk of them, of which it reads
// four values at a time.

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) invocation: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    // Chunks outermost: neighbouring invocations work on neighbouring sets.
    let number = invocation.x + invocation.y * groups.x * 64u;
    let fours = params.outputs / 4u;
    if number >= fours * params.chunks {
        return;
    }
    let part = number / fours;
    let output = (number - part * fours) * 4u;
    let start = set_start(output);
    let first = part * params.chunk;
    let last = min(first + params.chunk, params.loads);
    var a = fold_start();
    var b = a;
    var c = a;
    var d = a;
    for (var load = first; load < last; load++) {
        let values = four(x[(start + load_position(load)) / 4u]);
        a = fold_in(a, values.x);
        b = fold_in(b, values.y);
        c = fold_in(c, values.z);
        d = fold_in(d, values.w);
    }
    let at = output * params.chunks + part;
    emit(at, a);
    emit(at + params.chunks, b);
    emit(at + 2u * params.chunks, c);
    emit(at + 3u * params.chunks, d);
}
