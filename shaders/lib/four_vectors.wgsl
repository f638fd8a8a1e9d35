// Storage in groups of four floats: `array<Four>` is bound as vectors of four.
alias Four = vec4<f32>;

fn four(group: Four) -> vec4<f32> {
    return group;
}
