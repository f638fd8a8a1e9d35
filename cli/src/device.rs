//! `--device`: where a model runs.

use crate::failure::{Failure, Result};
use clap::Args;
use gristmill::{ErrorKind, Gpu, Model, Options, Power, Session};
use std::convert::Infallible;
use std::str::FromStr;

/// The option that every command with a device has.
#[derive(Args, Debug)]
pub(crate) struct DeviceArguments {
    /// Where to run: `auto` (a GPU, else a software adapter, else the CPU reference), `gpu` (an adapter, hardware or
    /// software, or an error), `cpu` (the reference), or a part of an adapter's name
    #[arg(long, value_name = "auto|gpu|cpu|NAME", default_value = "auto")]
    device: Choice,
}

/// What `--device` asks for.
#[derive(Clone, Debug)]
enum Choice {
    Auto,
    Gpu,
    Cpu,
    Named(String),
}

impl FromStr for Choice {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "auto" => Choice::Auto,
            "gpu" => Choice::Gpu,
            "cpu" => Choice::Cpu,
            name => Choice::Named(name.to_string()),
        })
    }
}

/// Where a model runs.
#[derive(Clone)]
pub(crate) enum Device {
    /// On an adapter.
    Gpu(Gpu),
    /// On the CPU, through the references.
    Cpu,
}

impl DeviceArguments {
    /// The device asked for.
    pub(crate) fn open(&self) -> Result<Device> {
        match &self.device {
            Choice::Cpu => Ok(Device::Cpu),
            Choice::Gpu => self.open_gpu().map(Device::Gpu),
            Choice::Named(_) => self.open_gpu().map(Device::Gpu),
            Choice::Auto => match self.open_gpu() {
                Ok(gpu) => Ok(Device::Gpu(gpu)),
                Err(Failure::Library(e)) if e.kind() == ErrorKind::NoAdapter => {
                    eprintln!("warning: no GPU or software adapter found; running on the CPU reference, which is slow");
                    Ok(Device::Cpu)
                }
                Err(e) => Err(e),
            },
        }
    }

    /// The adapter asked for, for commands that are of no use without one.
    pub(crate) fn open_gpu(&self) -> Result<Gpu> {
        match &self.device {
            Choice::Named(name) => Ok(Gpu::with_adapter_blocking(name)?),
            Choice::Cpu => Err(Failure::message("this command needs an adapter: expected --device auto, gpu or a name, found cpu")),
            Choice::Auto | Choice::Gpu => Ok(Gpu::new_blocking(Power::High)?),
        }
    }
}

impl Device {
    /// A session of a model.
    pub(crate) fn session(&self, model: &Model, options: Options) -> Result<Session> {
        Ok(match self {
            Device::Gpu(gpu) => Session::new_blocking(gpu, model, options)?,
            Device::Cpu => Session::cpu(model, options)?,
        })
    }

    /// The adapter's name.
    pub(crate) fn name(&self) -> String {
        match self {
            Device::Gpu(gpu) => gpu.caps().to_string(),
            Device::Cpu => "CPU reference".into(),
        }
    }
}
