// Eight columns of a matrix of scores are read where they lie, by each invocation for itself: for any size.
fn take_columns(head: Head, first: u32, lane: u32) {}

fn first_eight(head: Head, first: u32, group: u32, lane: u32) -> Eight {
    return Eight(
        first_column(head, first, group),
        first_column(head, first + 1u, group),
        first_column(head, first + 2u, group),
        first_column(head, first + 3u, group),
        first_column(head, first + 4u, group),
        first_column(head, first + 5u, group),
        first_column(head, first + 6u, group),
        first_column(head, first + 7u, group),
    );
}

fn second_eight(head: Head, first: u32, group: u32, lane: u32) -> Eight {
    return Eight(
        second_column(head, first, group),
        second_column(head, first + 1u, group),
        second_column(head, first + 2u, group),
        second_column(head, first + 3u, group),
        second_column(head, first + 4u, group),
        second_column(head, first + 5u, group),
        second_column(head, first + 6u, group),
        second_column(head, first + 7u, group),
    );
}
