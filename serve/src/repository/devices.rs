//! Where models run.

use crate::failure::{Failure, Result};
use gristmill::{Gpu, Power};
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, PoisonError};

/// Where models run.
#[derive(Clone)]
pub enum Device {
    /// On an adapter.
    Gpu(Gpu),
    /// On the CPU, through the references: slow, and right.
    Cpu,
}

/// The device that a model's configuration asks for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Placement {
    /// The adapter of this number, in the order in which the library ranks them, from 0 on.
    Adapter(usize),
    /// `gpu` for the server's adapter, or the best where it has none; `cpu` for the references; else a part of an adapter's name.
    Named(String),
}

/// A device with the number that the scheduler knows it by.
#[derive(Clone)]
pub struct Placed {
    /// The number.
    pub id: u32,
    /// The device.
    pub device: Device,
}

/// What a device's memory holds, as far as its driver's interface tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceMemory {
    /// The device's number.
    pub id: u32,
    /// The adapter's name.
    pub name: String,
    /// Bytes in use.
    pub used: u64,
    /// Bytes that are taken from the system, those in use among them.
    pub reserved: u64,
}

/// The devices of a server, each opened when the first model asks for it.
pub struct Devices {
    /// In the order of their numbers; the first is for models that ask for none.
    opened: Mutex<Vec<Device>>,
}

impl Placed {
    /// Whether models run on the CPU there.
    pub fn is_cpu(&self) -> bool {
        matches!(self.device, Device::Cpu)
    }
}

impl Devices {
    /// The devices of a server whose models run on this one, unless they ask for another.
    pub fn new(usual: Device) -> Self {
        Devices { opened: Mutex::new(vec![usual]) }
    }

    /// What the memory of each device holds, of those that tell.
    pub fn memory(&self) -> Vec<DeviceMemory> {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let of = |(place, device): (usize, Device)| {
            let Device::Gpu(gpu) = device else { return None };
            let report = gpu.device().generate_allocator_report()?;
            let (used, reserved) = (report.total_allocated_bytes, report.total_reserved_bytes);
            Some(DeviceMemory { id: u32::try_from(place).unwrap_or(u32::MAX), name: gpu.caps().name.clone(), used, reserved })
        };
        opened.into_iter().enumerate().filter_map(of).collect()
    }

    /// The device that a model is to run on.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::Code::InvalidArgument) for an adapter that is not there, and what the library reports of one that is.
    pub fn place(&self, asked: Option<&Placement>) -> Result<Placed> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(asked) = asked else {
            let device = opened.first().cloned().ok_or_else(|| Failure::internal("the server has no device"))?;
            return Ok(Placed { id: 0, device });
        };
        let is_cpu = |device: &Device| matches!(device, Device::Cpu);
        let found = match asked {
            Placement::Named(name) if name == "cpu" => opened.iter().position(is_cpu).ok_or(Device::Cpu),
            Placement::Named(name) if name == "gpu" => match opened.iter().position(|device| !is_cpu(device)) {
                Some(place) => Ok(place),
                None => Err(Device::Gpu(Gpu::new_blocking(Power::High)?)),
            },
            asked => {
                let name = adapter(asked)?;
                let named = |device: &Device| matches!(device, Device::Gpu(gpu) if gpu.caps().name == name);
                match opened.iter().position(named) {
                    Some(place) => Ok(place),
                    None => Err(Device::Gpu(open(&name)?)),
                }
            }
        };
        let place = found.unwrap_or_else(|device| {
            opened.push(device);
            opened.len() - 1
        });
        let device = opened.get(place).cloned().ok_or_else(|| Failure::internal("a device is gone"))?;
        Ok(Placed { id: u32::try_from(place).unwrap_or(u32::MAX), device })
    }
}

/// The whole name of the adapter that is asked for.
fn adapter(asked: &Placement) -> Result<String> {
    let names: Vec<String> = Gpu::adapters_blocking().into_iter().map(|caps| caps.name).collect();
    let place = match asked {
        Placement::Adapter(place) => Some(*place),
        Placement::Named(name) => names.iter().position(|other| other.to_lowercase().contains(&name.to_lowercase())),
    };
    let missing = || {
        let wanted = match asked {
            Placement::Adapter(place) => format!("adapter {place}"),
            Placement::Named(name) => format!("an adapter named like `{name}`"),
        };
        let shown: Vec<String> = names.iter().enumerate().map(|(place, name)| format!("{place} `{name}`")).collect();
        Failure::invalid(format!("model.toml: device: expected {wanted} to be there, found {}", shown.join(", ")))
    };
    let name = place.and_then(|place| names.get(place)).ok_or_else(missing)?;
    match place == names.iter().position(|other| other == name) {
        true => Ok(name.clone()),
        false => Err(Failure::invalid(format!(
            "model.toml: device: several adapters are named `{name}`, of which only the first can be opened"
        ))),
    }
}

fn open(name: &str) -> Result<Gpu> {
    let gpu = Gpu::with_adapter_blocking(name)?;
    match gpu.caps().name == name {
        true => Ok(gpu),
        false => {
            let found = &gpu.caps().name;
            Err(Failure::invalid(format!("model.toml: device: `{name}` is a part of the name `{found}`, which is found first")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_opened_once() {
        let devices = Devices::new(Device::Cpu);
        let named = |name: &str| devices.place(Some(&Placement::Named(name.into())));
        assert_eq!(devices.place(None).map(|placed| (placed.id, placed.is_cpu())), Ok((0, true)));
        assert_eq!(named("cpu").map(|placed| placed.id), Ok(0));
        let failure = named("no such adapter").map(|placed| placed.id).expect_err("there is none");
        assert!(failure.message().contains("no such adapter"), "{failure}");
        let failure = devices.place(Some(&Placement::Adapter(1000))).map(|placed| placed.id).expect_err("there is none");
        assert!(failure.message().contains("adapter 1000"), "{failure}");
    }
}
