// Storing sums by four rows at a time. Those to be stored next are always the first four, so that a kernel writes its epilogue out
// four times and not once per row: what is left after unrolling is what a compiler takes its time for.

// Stores the first four rows of sums, as far as `left` says that there are; rows stand `step` elements apart.
fn store_first(position: u32, step: u32, count: u32, left: u32, rows: Rows) {
    store_four(position, count, rows.r0);
    if left > 1u {
        store_four(position + step, count, rows.r1);
    }
    if left > 2u {
        store_four(position + 2u * step, count, rows.r2);
    }
    if left > 3u {
        store_four(position + 3u * step, count, rows.r3);
    }
}

// The rows after the first four, and the first four of those that follow.
fn after_first(rows: Rows, next: Rows) -> Rows {
    return Rows(rows.r4, rows.r5, rows.r6, rows.r7, next.r0, next.r1, next.r2, next.r3);
}

// Stores the rows of a tile of `const ROWS` rows, as far as `rows` says that there are, from `at` on.
fn store_tile(sums: ptr<function, TileSums>, at: u32, step: u32, count: u32, rows: u32) {
    var to = at;
    for (var next = 0u; next < rows; next += 4u) {
        store_first(to, step, count, rows - next, (*sums).s0);
        to += 4u * step;
        (*sums).s0 = after_first((*sums).s0, (*sums).s1);
        if ROWS > 8u {
            (*sums).s1 = after_first((*sums).s1, (*sums).s2);
        }
        if ROWS > 16u {
            (*sums).s2 = after_first((*sums).s2, (*sums).s3);
            (*sums).s3 = after_first((*sums).s3, (*sums).s4);
        }
        if ROWS > 32u {
            (*sums).s4 = after_first((*sums).s4, (*sums).s5);
            (*sums).s5 = after_first((*sums).s5, (*sums).s6);
            (*sums).s6 = after_first((*sums).s6, (*sums).s7);
            (*sums).s7 = after_first((*sums).s7, (*sums).s7);
        }
    }
}
