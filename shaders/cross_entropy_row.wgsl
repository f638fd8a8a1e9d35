// Takes lowest (LOWEST); cross_entropy (SMOOTHED, class_of, class_weight, slope, store_loss); cross_entropy_slopes or
// cross_entropy_losses (SLOPES, store_slope); reduce_shared or reduce_subgroup (reduce_max, reduce_sum).
// CrossEntropy where the classes of a row lie in one piece and are many.
//
// One workgroup per row, whose lanes take every WORKGROUP-th class. The first walk keeps, lane by lane, the greatest logit so far and the
// sum of exponentials below it; where the label's logit is all that is asked for, there is no second one.

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = group.x + group.y * groups.x;
    if row >= params.rows {
        return;
    }
    let start = row * params.classes;
    let end = start + params.classes;
    var peak = LOWEST;
    var sum = 0.0;
    for (var at = start + lane; at < end; at += WORKGROUP) {
        let higher = max(peak, logits[at]);
        sum = sum * exp(peak - higher) + exp(logits[at] - higher);
        peak = higher;
    }
    let highest = reduce_max(peak, lane);
    let total = reduce_sum(sum * exp(peak - highest), lane);
    let label = class_of(row);
    let own = params.own * class_weight(label);
    var loss = own * (log(total) + (highest - logits[start + label]));
    var whole = own;
    if SMOOTHED {
        var surprise = 0.0;
        var weight = 0.0;
        for (var at = start + lane; at < end; at += WORKGROUP) {
            surprise += class_weight(at - start) * (log(total) + (highest - logits[at]));
            weight += class_weight(at - start);
        }
        loss += params.spread * reduce_sum(surprise, lane);
        whole += params.spread * reduce_sum(weight, lane);
    }
    if SLOPES {
        for (var at = start + lane; at < end; at += WORKGROUP) {
            store_slope(at, slope(row, at - start, exp(logits[at] - highest) / total, whole));
        }
    }
    if lane == 0u {
        store_loss(row, loss);
    }
}
