//! How kernels read the operands and write the output: which preludes fit the strides, and the packing of constant ones.

use super::problem::{MatMulParams, Matrix, Problem};
use crate::error::Result;
use crate::graph::Io;
use crate::kernel::{Access, Caps, Dispatch, Grid, Kernel, Lowering, Operand, Packing, Prelude, Shader, preludes};
use crate::tensor::{DType, Tensor};

/// Rows of packed panels are padded to a multiple of this, as the prelude has it.
const PANEL_ROWS: usize = 16;

/// How a kernel wants operand B.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// In panels of so many columns if it is constant, else as it lies.
    Panels(u32),
    /// As columns of neighbours.
    Columns,
}

/// A kernel with its operands bound.
pub(super) struct Bound {
    kernel: Kernel,
    bindings: Vec<Operand>,
    params: MatMulParams,
    packed: Vec<Packing>,
    width: u32,
}

impl Problem {
    /// True when every matrix of the batch starts, and every row (or column) steps, at a multiple of four elements.
    fn aligned(matrix: &Matrix, step: i64, batches: impl Iterator<Item = i64>) -> bool {
        matrix.offset % 4 == 0 && step % 4 == 0 && batches.into_iter().all(|s| s % 4 == 0)
    }

    /// True when A can be read by vectors of four along its rows.
    fn a_by_rows(&self) -> bool {
        self.a.column == 1 && self.k % 4 == 0 && Self::aligned(&self.a, self.a.row, self.batch.iter().map(|x| x.a))
    }

    /// True when A can be read by vectors of four along its columns.
    fn a_by_columns(&self) -> bool {
        self.a.row == 1 && self.m % 4 == 0 && Self::aligned(&self.a, self.a.column, self.batch.iter().map(|x| x.a))
    }

    /// True when B can be read by vectors of four along its rows.
    fn b_by_rows(&self) -> bool {
        self.b.column == 1 && self.n % 4 == 0 && Self::aligned(&self.b, self.b.row, self.batch.iter().map(|x| x.b))
    }

    /// True when B can be read by vectors of four along its columns.
    pub(super) fn b_by_columns(&self) -> bool {
        self.b.row == 1 && self.k % 4 == 0 && Self::aligned(&self.b, self.b.column, self.batch.iter().map(|x| x.b))
    }

    /// True when B is one constant matrix, which can be packed once.
    pub(super) fn b_is_constant(&self, io: &Io) -> bool {
        self.batch.iter().all(|axis| axis.b == 0) && io.optional(1).is_some_and(|fact| fact.value.is_some())
    }

    /// Which input and layout B is read as; packs it where that helps.
    fn bind_b(&self, io: &Io, want: Want, params: &mut MatMulParams) -> (&'static Prelude, Operand, Vec<Packing>) {
        let arguments =
            |last: u32| vec![self.k as u32, self.n as u32, params.b_row_stride, params.b_column_stride, params.b_offset, last];
        let packing = |layout, last, pack| vec![Packing { input: 1, layout, arguments: arguments(last), pack }];
        if self.b_is_constant(io) {
            match want {
                Want::Panels(width) => {
                    return (&preludes::MATMUL_B_PANELS, Operand::Packed(0), packing("matmul_panels", width, pack_panels));
                }
                Want::Columns if !self.b_by_columns() => {
                    let rows = self.k.next_multiple_of(4) as u32;
                    let packed = packing("matmul_columns", rows, pack_columns);
                    (params.b_row_stride, params.b_column_stride, params.b_offset) = (1, rows, 0);
                    return (&preludes::MATMUL_B_COLUMNS, Operand::Packed(0), packed);
                }
                Want::Columns => {}
            }
        }
        let prelude = match want {
            Want::Columns => &preludes::MATMUL_B_COLUMNS,
            Want::Panels(_) if self.b_by_rows() => &preludes::MATMUL_B_ROWS,
            Want::Panels(_) if self.b_by_columns() => &preludes::MATMUL_B_COLUMNS,
            Want::Panels(_) => &preludes::MATMUL_B_SCALAR,
        };
        (prelude, Operand::Input(1), vec![])
    }

    /// A kernel with the preludes that read the operands, `a_block` included if `blocks`.
    pub(super) fn bind(&self, shader: &'static Shader, workgroup: [u32; 3], io: &Io, want: Want, blocks: bool) -> Result<Bound> {
        let mut params = self.params()?;
        let (b, operand, packed) = self.bind_b(io, want, &mut params);
        let a = match () {
            () if self.a_by_rows() => &preludes::MATMUL_A_ROWS,
            () if blocks && self.a_by_columns() => &preludes::MATMUL_A_COLUMNS,
            () => &preludes::MATMUL_A_SCALAR,
        };
        let width = if self.n % 4 == 0 { 4 } else { 1 };
        let store = if width == 4 { &preludes::STORE_WIDTH4 } else { &preludes::STORE_WIDTH1 };
        let mut kernel = Kernel::new(shader, &[Access::Read, Access::Read, Access::Write], workgroup)
            .prelude(&preludes::MATMUL)
            .prelude(a)
            .prelude(b)
            .prelude(store)
            .set("BATCH_AXES", self.batch.len() as u32);
        if let (Want::Panels(columns), Operand::Packed(_)) = (want, operand) {
            kernel = kernel.constant("PANEL", columns);
        }
        Ok(Bound { kernel, bindings: vec![Operand::Input(0), operand, Operand::Output(0)], params, packed, width })
    }
}

impl Bound {
    /// The same after a change to the kernel.
    pub(super) fn with(mut self, change: impl FnOnce(Kernel) -> Kernel) -> Self {
        self.kernel = change(self.kernel);
        self
    }

    /// The finished candidate.
    pub(super) fn finish(mut self, variant: &'static str, problem: &Problem, grid: Grid, io: &Io, caps: &Caps) -> Result<Lowering> {
        let kernel = io.attach_epilogue(self.kernel, &mut self.bindings, self.width, caps)?;
        let (flops, bytes) = problem.work();
        let dispatch = Dispatch::new(kernel, self.params, self.bindings, grid).work(flops, bytes);
        Ok(Lowering::Dispatches { variant, dispatches: vec![dispatch], temporaries: vec![], packed: self.packed })
    }
}

/// A constant matrix, from the arguments of a packing: k, n, row stride, column stride, offset.
fn elements(tensor: &Tensor, arguments: &[u32], mut put: impl FnMut(usize, usize, f32)) {
    let converted: Vec<f32>;
    let data = match tensor.as_slice::<f32>() {
        Ok(data) if tensor.dtype() == DType::F32 => data,
        _ => {
            converted = tensor.to_f64().iter().map(|x| *x as f32).collect();
            &converted
        }
    };
    let step = |n: u32| i64::from(n as i32);
    let (row, column, offset) = (step(arguments[2]), step(arguments[3]), step(arguments[4]));
    for k in 0..arguments[0] as usize {
        for n in 0..arguments[1] as usize {
            put(k, n, data[(offset + k as i64 * row + n as i64 * column) as usize]);
        }
    }
}

/// Panels `[n / width, k, width]`, padded with zeros.
fn pack_panels(tensor: &Tensor, arguments: &[u32]) -> Vec<u8> {
    let (k, n, width) = (arguments[0] as usize, arguments[1] as usize, arguments[5] as usize);
    let rows = k.next_multiple_of(PANEL_ROWS);
    let mut packed = vec![0f32; n.div_ceil(width) * rows * width];
    elements(tensor, arguments, |k, n, value| packed[(n / width * rows + k) * width + n % width] = value);
    bytemuck::cast_slice(&packed).to_vec()
}

/// Columns `[n, rows]`, padded with zeros.
fn pack_columns(tensor: &Tensor, arguments: &[u32]) -> Vec<u8> {
    let rows = arguments[5] as usize;
    let mut packed = vec![0f32; arguments[1] as usize * rows];
    elements(tensor, arguments, |k, n, value| packed[n * rows + k] = value);
    bytemuck::cast_slice(&packed).to_vec()
}
