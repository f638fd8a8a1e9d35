// Eight columns of a matrix of scores pass through workgroup memory, which a whole workgroup fills.
var<workgroup> tile: array<vec4<f32>, 8u * (FIRST_GROUPS + SECOND_GROUPS)>; // [FIRST_GROUPS + SECOND_GROUPS, 8]

// Makes the columns from `first` on those that are read from now on.
fn take_columns(head: Head, first: u32, lane: u32) {
    workgroupBarrier();
    for (var k = lane; k < 8u * FIRST_GROUPS; k += WORKGROUP) {
        tile[k] = first_column(head, first + k % 8u, k / 8u);
    }
    for (var k = lane; k < 8u * SECOND_GROUPS; k += WORKGROUP) {
        tile[8u * FIRST_GROUPS + k] = second_column(head, first + k % 8u, k / 8u);
    }
    workgroupBarrier();
}

fn eight_of(start: u32) -> Eight {
    return Eight(
        tile[start],
        tile[start + 1u],
        tile[start + 2u],
        tile[start + 3u],
        tile[start + 4u],
        tile[start + 5u],
        tile[start + 6u],
        tile[start + 7u],
    );
}

fn first_eight(head: Head, first: u32, group: u32, lane: u32) -> Eight {
    return eight_of(8u * group);
}

fn second_eight(head: Head, first: u32, group: u32, lane: u32) -> Eight {
    return eight_of(8u * (FIRST_GROUPS + group));
}
