// Takes lowest (LOWEST); cross_entropy (SMOOTHED, class_of, class_weight, slope, store_loss); cross_entropy_slopes or
// cross_entropy_losses (SLOPES, store_slope).
// CrossEntropy where classes are few, or lie apart: each invocation walks one row, whose classes stand `stride` apart, and neighbouring
// invocations walk neighbouring rows.

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let row = id.x + id.y * groups.x * 64u;
    if row >= params.rows {
        return;
    }
    let outer = row / params.stride;
    let start = outer * params.classes * params.stride + (row - outer * params.stride);
    let end = start + params.classes * params.stride;
    var peak = LOWEST;
    var total = 0.0;
    for (var at = start; at < end; at += params.stride) {
        let higher = max(peak, logits[at]);
        total = total * exp(peak - higher) + exp(logits[at] - higher);
        peak = higher;
    }
    let label = class_of(row);
    let own = params.own * class_weight(label);
    var loss = own * (log(total) + (peak - logits[start + label * params.stride]));
    var whole = own;
    if SMOOTHED {
        for (var k = 0u; k < params.classes; k++) {
            let spread_weight = params.spread * class_weight(k);
            loss += spread_weight * (log(total) + (peak - logits[start + k * params.stride]));
            whole += spread_weight;
        }
    }
    if SLOPES {
        for (var k = 0u; k < params.classes; k++) {
            let at = start + k * params.stride;
            store_slope(at, slope(row, k, exp(logits[at] - peak) / total, whole));
        }
    }
    store_loss(row, loss);
}
