// Eight columns of a matrix of scores, each loaded by one lane of a subgroup of eight, which is a workgroup; they travel by broadcast.
fn take_columns(head: Head, first: u32, lane: u32) {}

fn of_all_lanes(own: vec4<f32>) -> Eight {
    return Eight(
        subgroupBroadcast(own, 0u),
        subgroupBroadcast(own, 1u),
        subgroupBroadcast(own, 2u),
        subgroupBroadcast(own, 3u),
        subgroupBroadcast(own, 4u),
        subgroupBroadcast(own, 5u),
        subgroupBroadcast(own, 6u),
        subgroupBroadcast(own, 7u),
    );
}

fn first_eight(head: Head, first: u32, group: u32, lane: u32) -> Eight {
    return of_all_lanes(first_column(head, first + lane, group));
}

fn second_eight(head: Head, first: u32, group: u32, lane: u32) -> Eight {
    return of_all_lanes(second_column(head, first + lane, group));
}
