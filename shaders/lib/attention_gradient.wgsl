// What the kernels of attention's gradients share: eight columns of a matrix of scores beside each other, and how a score changes
// with the product that it comes from.

// A group of four elements of each of eight columns.
struct Eight {
    a: vec4<f32>,
    b: vec4<f32>,
    c: vec4<f32>,
    d: vec4<f32>,
    e: vec4<f32>,
    f: vec4<f32>,
    g: vec4<f32>,
    h: vec4<f32>,
}

// Products of a row's group with the same group of the first four columns, and of the last four.
fn first_products(row: vec4<f32>, columns: Eight) -> vec4<f32> {
    return vec4<f32>(dot(row, columns.a), dot(row, columns.b), dot(row, columns.c), dot(row, columns.d));
}

fn last_products(row: vec4<f32>, columns: Eight) -> vec4<f32> {
    return vec4<f32>(dot(row, columns.e), dot(row, columns.f), dot(row, columns.g), dot(row, columns.h));
}

// The sum of a group of all columns, each multiplied with a number of its own.
fn mixed(first: vec4<f32>, last: vec4<f32>, columns: Eight) -> vec4<f32> {
    return first.x * columns.a + first.y * columns.b + first.z * columns.c + first.w * columns.d
        + last.x * columns.e + last.y * columns.f + last.z * columns.g + last.w * columns.h;
}

// A score, and how it changes with the product of query and key.
struct Score {
    value: f32,
    slope: f32,
}

fn score_of(product: f32, head: Head, query: u32, key: u32) -> Score {
    var value = capped(product * head.scale, head);
    var slope = head.scale;
    if SOFTCAP {
        let bent = value / head.softcap;
        slope *= 1.0 - bent * bent;
    }
    if MASK != 0u {
        let word = mask_of(head, query, key);
        value = masked(value, word, head);
        // What replaces a score does not change with it.
        if MASK == 2u && UNSEEN == 1u && word == 0u {
            slope = 0.0;
        }
    }
    let seen = keys_seen(head, query);
    if CAUSAL && UNSEEN == 1u && key >= seen {
        slope = 0.0;
    }
    return Score(reached(value, key, seen, head), slope);
}
