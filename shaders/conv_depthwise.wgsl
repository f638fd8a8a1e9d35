// Takes divide (divide); conv_row (Place, Row); conv_row_exchange or conv_row_alone; perhaps conv_row_direct or conv_row_fours
// (load_row); conv_taps_exchange or conv_taps_direct (load_taps); store_width1 or store_width4 (store_four); width1 or width4
// (Float); perhaps plane_fours or plane_elements; an epilogue.
// Convolution of each channel by itself, over one or two spatial axes.
//
// An invocation makes four neighbouring columns of `rows` output rows. It walks down them and keeps the input rows under the
// window in registers, so that of each output row only STRIDE_HEIGHT input rows are new. What reads rows says
// which columns and rows are whose. Extent and steps of the window are constants.

struct Params {
    planes: u32, // batches * groups * filters of a group
    input_height: u32,
    input_width: u32,
    output_height: u32,
    output_width: u32,
    rows: u32,       // output rows of a segment
    kernels: u32,    // groups * filters of a group
    multiplier: u32, // filters of a group
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> w: array<f32>; // [kernels, TAPS]
@group(0) @binding(3) var<storage, read_write> output: array<Float>; // [planes, output_height, output_width]

const TAPS: u32 = KERNEL_HEIGHT * KERNEL_WIDTH;
// Input rows that one output sees.
const SPAN: u32 = (KERNEL_HEIGHT - 1u) * DILATION_HEIGHT + 1u;
// Rows that the next output row sees as well.
const KEPT: u32 = max(SPAN, STRIDE_HEIGHT) - STRIDE_HEIGHT;

fn segments() -> u32 {
    return divide(params.output_height + params.rows - 1u, params.rows);
}

fn run(at: Place, lane: u32) {
    let taps = load_taps(at.plane - divide(at.plane, params.kernels) * params.kernels, lane);
    let input = divide(at.plane, params.multiplier);
    let first = at.segment * params.rows;
    let height = params.output_height;
    let width = params.output_width;
    // Input rows before the first wrap round and so fail the test against the height.
    var y = first * STRIDE_HEIGHT - BEGIN_HEIGHT;
    var rows: array<Row, SPAN>;
    for (var i = 0u; i < KEPT; i++) {
        rows[i + STRIDE_HEIGHT] = load_row(input, y + i, at.quad, lane);
    }
    let end = min(first + params.rows, height);
    for (var o = first; o < end; o++) {
        for (var i = 0u; i < KEPT; i++) {
            rows[i] = rows[i + STRIDE_HEIGHT];
        }
        for (var i = KEPT; i < SPAN; i++) {
            rows[i] = load_row(input, y + i, at.quad, lane);
        }
        var sum: vec4<f32>;
        for (var i = 0u; i < KERNEL_HEIGHT; i++) {
            for (var j = 0u; j < KERNEL_WIDTH; j++) {
                let row = i * DILATION_HEIGHT;
                let column = j * DILATION_WIDTH;
                let x = vec4(
                    rows[row][column],
                    rows[row][column + STRIDE_WIDTH],
                    rows[row][column + 2u * STRIDE_WIDTH],
                    rows[row][column + 3u * STRIDE_WIDTH],
                );
                sum += taps[i * KERNEL_WIDTH + j] * x;
            }
        }
        if at.owned {
            store_four((at.plane * height + o) * width + at.quad * 4u, width - at.quad * 4u, sum);
        }
        y += STRIDE_HEIGHT;
    }
}
