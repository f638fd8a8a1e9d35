//! `gristmill info`.

use crate::Verdict;
use crate::device::{Device, DeviceArguments};
use crate::failure::Result;
use crate::table::{Table, bytes};
use clap::Args;
use gristmill::{Caps, Gpu};
use std::io::Write;

/// Lists the adapters, and the limits of the one that would be used
#[derive(Args)]
pub(crate) struct Info {
    #[command(flatten)]
    device: DeviceArguments,
}

impl Info {
    pub(crate) fn run(&self, out: &mut dyn Write) -> Result<Verdict> {
        let mut table = Table::new(&["adapter", "class", ">subgroup", ">largest binding"]);
        for caps in Gpu::adapters_blocking() {
            table.row([caps.name.clone(), format!("{:?}", caps.class), subgroup(&caps), bytes(caps.max_storage_binding)]);
        }
        if table.is_empty() {
            writeln!(out, "no adapter found")?;
        } else {
            writeln!(out, "{table}")?;
        }
        let device = self.device.open()?;
        writeln!(out, "chosen: {}", device.name())?;
        if let Device::Gpu(gpu) = device {
            write!(out, "{}", limits(gpu.caps()))?;
        }
        Ok(Verdict::Good)
    }
}

fn subgroup(caps: &Caps) -> String {
    caps.subgroup.map_or("none".into(), |n| n.to_string())
}

/// What the kernels may count on.
fn limits(caps: &Caps) -> Table {
    let yes = |b: bool| if b { "yes" } else { "no" }.to_string();
    let mut table = Table::new(&["capability", ">value"]);
    let rows = [
        ("driver", caps.driver.clone()),
        ("class", format!("{:?}", caps.class)),
        ("lanes of a subgroup", subgroup(caps)),
        ("f16 in shaders", yes(caps.shader_f16)),
        ("64-bit integers in shaders", yes(caps.shader_i64)),
        ("timestamps", yes(caps.timestamps)),
        ("largest storage binding", bytes(caps.max_storage_binding)),
        ("largest buffer", bytes(caps.max_buffer)),
        ("storage buffers of a dispatch", caps.max_storage_buffers.to_string()),
        ("workgroup memory", bytes(caps.max_workgroup_storage.into())),
        ("invocations of a workgroup", caps.max_invocations.to_string()),
        ("workgroups along a dimension", caps.max_grid.to_string()),
        ("alignment of a uniform binding", bytes(caps.uniform_alignment.into())),
    ];
    for (name, value) in rows {
        table.row([name.to_string(), value]);
    }
    table
}
