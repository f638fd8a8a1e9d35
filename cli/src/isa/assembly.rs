//! Reading an AMD compiler's output: what stands in the hottest loop.
//!
//! The hottest loop is taken to be the one whose own body, loops inside it left out, does the most multiply-adds; among
//! equals, the one with the most accesses to memory, then to workgroup memory, then the longest. Where no loop multiplies or
//! reads memory (a row that lies in registers, whose only loop joins the sums of lanes), the kernel is taken as a whole, as is
//! one without loops; [`Mix::looped`] says which it was. That suits kernels that do one thing many times, which ours are. A
//! rare path with more multiply-adds than the common one would mislead it.

use serde::{Deserialize, Serialize};

/// Instructions of a stretch of code by kind. The halves of an instruction that issues two count as two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mix {
    /// False when the kernel has no loop and this is all of it.
    pub(super) looped: bool,
    /// All instructions.
    pub(super) instructions: usize,
    /// Fused multiply-adds, dot products and matrix instructions.
    pub(super) fma: usize,
    /// Multiply-adds that those do per lane.
    pub(super) multiply_adds: usize,
    /// Other vector arithmetic.
    pub(super) valu: usize,
    /// Scalar arithmetic.
    pub(super) salu: usize,
    /// Loads through the scalar cache.
    pub(super) smem: usize,
    /// Accesses to workgroup memory.
    pub(super) lds: usize,
    /// Accesses to memory by lanes.
    pub(super) vmem: usize,
    /// Dwords that those move per lane.
    pub(super) vmem_dwords: usize,
    /// Branches.
    pub(super) branches: usize,
    /// Waits, barriers, hints to the scheduler.
    pub(super) waits: usize,
    /// Integers clamped or compared in vector registers or clamped in scalar ones: what a check of an index becomes, be it
    /// the translator's or the kernel's own.
    pub(super) checks: usize,
    /// Borrows from the upper half of a counter: what the translator's bound on a loop becomes, which counts down 64 bits.
    pub(super) bounds: usize,
    /// Reads and writes of scratch memory, as RDNA2 and later name them: spilled registers, or arrays that found no place
    /// in registers.
    pub(super) scratch: usize,
    /// What the disassembler did not know.
    pub(super) unknown: usize,
}

impl Mix {
    /// The share of multiply-adds among the instructions, in percent.
    pub(super) fn share(&self) -> f64 {
        100.0 * self.fma as f64 / self.instructions.max(1) as f64
    }

    /// Dwords per access to memory; 0 where there is none.
    pub(super) fn width(&self) -> f64 {
        self.vmem_dwords as f64 / self.vmem.max(1) as f64
    }

    fn add(&mut self, instruction: &str) {
        self.instructions += 1;
        let name = instruction.split_whitespace().next().unwrap_or_default();
        let starts = |prefixes: &[&str]| prefixes.iter().any(|p| name.starts_with(p));
        let multiply_adds = multiply_adds(name);
        if multiply_adds > 0 {
            self.fma += 1;
            self.multiply_adds += multiply_adds;
        } else if starts(&["scratch_"]) {
            self.scratch += 1;
        } else if starts(&["buffer_", "global_", "flat_", "image_", "tbuffer_"]) {
            if name.contains("gl0_inv") || name.contains("gl1_inv") || name.contains("wbinvl1") {
                self.waits += 1;
            } else {
                self.vmem += 1;
                self.vmem_dwords += dwords(name);
            }
        } else if starts(&["ds_"]) {
            self.lds += 1;
        } else if starts(&["s_cbranch", "s_branch", "s_setpc", "s_endpgm"]) {
            self.branches += 1;
        } else if starts(&[
            "s_wait",
            "s_barrier",
            "s_nop",
            "s_clause",
            "s_delay_alu",
            "s_sleep",
            "s_inst_prefetch",
            "s_set_inst_prefetch",
            "s_sendmsg",
        ]) {
            self.waits += 1;
        } else if starts(&["s_load", "s_buffer_load"]) {
            self.smem += 1;
        } else if starts(&["s_"]) {
            self.salu += 1;
        } else if starts(&["v_"]) {
            self.valu += 1;
        } else {
            self.unknown += 1;
        }
        self.checks += usize::from(is_check(name));
        self.bounds += usize::from(is_bound(name, instruction));
    }
}

/// Multiply-adds per lane that one instruction does.
fn multiply_adds(name: &str) -> usize {
    let named = |parts: &[&str]| parts.iter().any(|p| name.contains(p));
    if !name.starts_with("v_") {
        0
    } else if named(&["wmma", "mfma"]) {
        // 16 x 16 x 16 by 32 lanes.
        128
    } else if named(&["dot8"]) {
        8
    } else if named(&["dot4"]) {
        4
    } else if named(&["pk_fma", "pk_mad", "dot2"]) {
        2
    } else if named(&[
        "_fma_f", "_fmac_f", "_fmaak_f", "_fmamk_f", "_fma_mix", "_mad_f", "_mac_f", "_madak_f", "_madmk_f", "_mad_mix",
    ]) {
        1
    } else {
        0
    }
}

/// Dwords that an access to memory moves per lane, by its name: `b128`, `dwordx4`, `u8`, ...
fn dwords(name: &str) -> usize {
    let wide = [("b128", 4), ("x4", 4), ("b96", 3), ("x3", 3), ("b64", 2), ("x2", 2)];
    wide.iter().find(|(part, _)| name.contains(part)).map_or(1, |(_, n)| *n)
}

fn is_check(name: &str) -> bool {
    let kinds = ["_u32", "_i32", "_u16", "_i16", "_u64", "_i64"];
    let integer = kinds.iter().any(|kind| name.contains(kind));
    let clamps = ["v_min", "v_max", "v_med3", "s_min", "s_max"].iter().any(|p| name.starts_with(p));
    integer && (clamps || name.starts_with("v_cmp"))
}

/// A borrow that leaves a scalar counter, or one that each lane has for itself.
fn is_bound(name: &str, instruction: &str) -> bool {
    let scalar = name.starts_with("s_sub") && (name.starts_with("s_subb") || instruction.contains("scc"));
    scalar || ["v_subb", "v_sub_co_ci", "v_subrev_co_ci"].iter().any(|p| name.starts_with(p))
}

/// One line of code: an instruction, or a label.
fn code(line: &str) -> &str {
    line.split(';').next().unwrap_or_default().trim()
}

/// Where loops start and end: a jump back, and what it jumps to.
fn loops(lines: &[&str]) -> Vec<(usize, usize)> {
    let mut found: Vec<(usize, usize)> = Vec::new();
    for (end, line) in lines.iter().enumerate() {
        let mut words = line.split_whitespace();
        let jumps = words.next().is_some_and(|name| name.starts_with("s_cbranch") || name == "s_branch");
        let Some(target) = words.next().filter(|_| jumps) else { continue };
        let Some(start) = lines[..end].iter().position(|l| l.strip_suffix(':') == Some(target)) else { continue };
        // Several jumps to one label are one loop, up to the last of them.
        match found.iter_mut().find(|(s, _)| *s == start) {
            Some(known) => known.1 = end,
            None => found.push((start, end)),
        }
    }
    found
}

/// What the hottest loop of a disassembly holds.
pub(super) fn hottest(assembly: &str) -> Mix {
    let lines: Vec<&str> = assembly.lines().map(code).filter(|l| !l.is_empty()).collect();
    let loops = loops(&lines);
    let count = |range: std::ops::RangeInclusive<usize>, looped: bool, inner: &[(usize, usize)]| {
        let mut mix = Mix { looped, ..Mix::default() };
        let own = range.filter(|i| !lines[*i].ends_with(':') && !inner.iter().any(|(s, e)| (s..=e).contains(&i)));
        own.clone().flat_map(|i| lines[i].split("::")).for_each(|instruction| mix.add(instruction.trim()));
        // Integer division borrows too, and begins with a reciprocal.
        if !looped || own.into_iter().any(|i| lines[i].contains("v_rcp_iflag")) {
            mix.bounds = 0;
        }
        mix
    };
    let body = |(start, end): &(usize, usize)| {
        let inside = |(s, e): &&(usize, usize)| s > start && e <= end;
        count(*start..=*end, true, &loops.iter().filter(inside).copied().collect::<Vec<_>>())
    };
    let hottest = loops.iter().map(body).max_by_key(|m| (m.multiply_adds, m.vmem, m.lds, m.instructions));
    hottest.filter(|m| m.multiply_adds + m.vmem > 0).unwrap_or_else(|| count(0..=lines.len().saturating_sub(1), false, &[]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NESTED: &str = "
BB0:
    s_mov_b32 s0, 0                        ; be800080
BB1:
    buffer_load_b128 v[8:11], v5, s[4:7], 0 offen ; e05c0000
    v_min_u32_e32 v5, s1, v5               ; 00
BB2:
    v_dual_fmac_f32 v4, s8, v8 :: v_dual_mul_f32 v3, s9, v9
    v_pk_fma_f16 v1, v2, v3, v1
    ds_load_b128 v[8:11], v6
    s_waitcnt lgkmcnt(0)
    s_cbranch_scc1 BB2
BB3:
    s_sub_i32 s16, s16, src_scc
    s_cbranch_scc0 BB1
    s_endpgm
";

    #[test]
    fn the_loop_with_most_multiply_adds_is_the_hottest() {
        let mix = hottest(NESTED);
        assert!(mix.looped);
        assert_eq!((mix.instructions, mix.fma, mix.multiply_adds), (6, 2, 3));
        assert_eq!((mix.valu, mix.lds, mix.waits, mix.branches, mix.vmem), (1, 1, 1, 1, 0));
        assert_eq!((mix.checks, mix.bounds), (0, 0));
    }

    #[test]
    fn loops_inside_a_loop_are_left_out_of_it() {
        let outer = NESTED.replace("v_dual_fmac_f32", "v_dual_add_f32").replace("v_pk_fma_f16", "v_pk_add_f16");
        let mix = hottest(&outer);
        assert_eq!((mix.instructions, mix.vmem, mix.vmem_dwords), (4, 1, 4));
        assert_eq!((mix.checks, mix.bounds), (1, 1));
    }

    #[test]
    fn a_loop_that_only_joins_lanes_is_not_hot() {
        let mix = hottest(
            "BB0:\n global_load_b128 v[0:3], v4, s[0:1]\nBB1:\n ds_load_b32 v1, v2\n v_add_f32_e32 v0, v0, v1\n s_cbranch_scc1 BB1\n s_endpgm\n",
        );
        assert!(!mix.looped);
        assert_eq!((mix.instructions, mix.vmem, mix.lds), (5, 1, 1));
    }

    #[test]
    fn code_without_loops_is_taken_as_a_whole() {
        let mix = hottest(
            "BB0:\n v_add_f32_e32 v0, v0, v0\n global_load_dwordx2 v[0:1], v2, s[0:1]\n (invalid instruction)\n s_endpgm\n",
        );
        assert!(!mix.looped);
        assert_eq!((mix.instructions, mix.valu, mix.vmem_dwords, mix.unknown, mix.branches), (4, 1, 2, 1, 1));
    }
}
