// Takes divide (divide); conv_row (Place, Row); conv_row_exchange or conv_row_alone; perhaps plane_fours or plane_elements;
// perhaps conv_row_direct or conv_row_fours (load_row); store_width1 or store_width4 (store_four); width1 or width4 (Float); an
// epilogue.
// Pooling over one or two spatial axes, by windows that registers hold: the mean and the largest.
//
// An invocation makes four neighbouring columns of `rows` output rows. It walks down them and keeps the input rows under the
// window in registers, so that of each output row only STRIDE_HEIGHT input rows are new. What reads rows says which columns and
// rows are whose. Extent and steps of the window are constants.

// What the values under the window become, as in the kernel for windows of any kind.
const MAX: u32 = 0u;
const AVERAGE: u32 = 1u; // padding does not count
const AVERAGE_PADDED: u32 = 2u; // padding counts as zeros
override POOLING: u32;

struct Params {
    planes: u32,
    input_height: u32,
    input_width: u32,
    output_height: u32,
    output_width: u32,
    rows: u32,          // output rows of a segment
    padded_height: u32, // the input and the padding at its end
    padded_width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read_write> output: array<Float>; // [planes, output_height, output_width]

// Input rows that one output sees.
const SPAN: u32 = (KERNEL_HEIGHT - 1u) * DILATION_HEIGHT + 1u;
// Rows that the next output row sees as well.
const KEPT: u32 = max(SPAN, STRIDE_HEIGHT) - STRIDE_HEIGHT;

fn segments() -> u32 {
    return divide(params.output_height + params.rows - 1u, params.rows);
}

// How many of a window's rows from `y` on lie before `height`, counted from the first of the input or of its padding.
fn rows_before(y: u32, begin: u32, height: u32) -> f32 {
    var count = 0.0;
    for (var i = 0u; i < KERNEL_HEIGHT; i++) {
        count += select(0.0, 1.0, y + begin + i * DILATION_HEIGHT < height + begin);
    }
    return count;
}

// The same for the columns of four windows.
fn columns_before(x: u32, begin: u32, width: u32) -> vec4<f32> {
    var count = vec4(0.0);
    for (var j = 0u; j < KERNEL_WIDTH; j++) {
        let at = vec4(x + begin + j * DILATION_WIDTH) + vec4(0u, STRIDE_WIDTH, 2u * STRIDE_WIDTH, 3u * STRIDE_WIDTH);
        count += select(vec4(0.0), vec4(1.0), at < vec4(width + begin));
    }
    return count;
}

fn run(at: Place, lane: u32) {
    let first = at.segment * params.rows;
    let height = params.output_height;
    let width = params.output_width;
    let input_height = params.input_height;
    // Input rows and columns before the first wrap round and so fail the test against the extent.
    var y = first * STRIDE_HEIGHT - BEGIN_HEIGHT;
    let x = at.quad * 4u * STRIDE_WIDTH - BEGIN_WIDTH;
    var column_counts: vec4<f32>;
    if POOLING == AVERAGE {
        column_counts = columns_before(x, 0u, params.input_width);
    } else if POOLING == AVERAGE_PADDED {
        column_counts = columns_before(x, BEGIN_WIDTH, params.padded_width);
    }
    var inside: array<vec4<bool>, KERNEL_WIDTH>;
    if POOLING == MAX {
        for (var j = 0u; j < KERNEL_WIDTH; j++) {
            let column = vec4(x + j * DILATION_WIDTH) + vec4(0u, STRIDE_WIDTH, 2u * STRIDE_WIDTH, 3u * STRIDE_WIDTH);
            inside[j] = column < vec4(params.input_width);
        }
    }
    var rows: array<Row, SPAN>;
    for (var i = 0u; i < KEPT; i++) {
        rows[i + STRIDE_HEIGHT] = load_row(at.plane, y + i, at.quad, lane);
    }
    let end = min(first + params.rows, height);
    for (var o = first; o < end; o++) {
        for (var i = 0u; i < KEPT; i++) {
            rows[i] = rows[i + STRIDE_HEIGHT];
        }
        for (var i = KEPT; i < SPAN; i++) {
            rows[i] = load_row(at.plane, y + i, at.quad, lane);
        }
        var result: vec4<f32>;
        var seen: vec4<bool>;
        for (var i = 0u; i < KERNEL_HEIGHT; i++) {
            let row = i * DILATION_HEIGHT;
            let is_row = vec4(y + row < input_height);
            for (var j = 0u; j < KERNEL_WIDTH; j++) {
                let column = j * DILATION_WIDTH;
                let values = vec4(
                    rows[row][column],
                    rows[row][column + STRIDE_WIDTH],
                    rows[row][column + 2u * STRIDE_WIDTH],
                    rows[row][column + 3u * STRIDE_WIDTH],
                );
                if POOLING == MAX {
                    // The first value is taken as it is, a NaN too.
                    let here = is_row & inside[j];
                    result = select(result, values, here & (!seen | (values > result)));
                    seen = seen | here;
                } else {
                    result += values;
                }
            }
        }
        if POOLING == AVERAGE {
            result /= max(column_counts * rows_before(y, 0u, input_height), vec4(1.0));
        } else if POOLING == AVERAGE_PADDED {
            result /= max(column_counts * rows_before(y, BEGIN_HEIGHT, params.padded_height), vec4(1.0));
        }
        if at.owned {
            store_four((at.plane * height + o) * width + at.quad * 4u, width - at.quad * 4u, result);
        }
        y += STRIDE_HEIGHT;
    }
}
