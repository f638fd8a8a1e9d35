//! A model that is ready to serve.

use super::config::ModelConfig;
use super::devices::{Device, Devices, Placed};
use super::interface::{BatchDimension, Interface};
use super::layout::Folder;
use crate::failure::{Failure, Result};
use gristmill::graph::Dim;
use gristmill::{InputInfo, Model, Options, Session, Tensor, TensorType};
use std::sync::Arc;

/// A model that is ready to serve.
pub struct LoadedModel {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// What it takes and returns.
    pub interface: Interface,
    /// How it is served.
    pub config: ModelConfig,
    /// Numbers of rows that are planned for.
    pub rows: Vec<usize>,
    /// Where it runs.
    pub device: Placed,
    /// What runs it.
    pub session: Session,
}

impl LoadedModel {
    /// Reads a model and makes it warm: what its configuration names is run once.
    ///
    /// # Errors
    /// What is wrong with its files or its configuration, and what the warming runs report.
    pub fn load(folder: &Folder, devices: &Devices, options: &Options) -> Result<Arc<Self>> {
        let config = ModelConfig::parse(&folder.config)?;
        let device = devices.place(config.device.as_ref())?;
        let mut model = Model::load(&folder.version.file)?;
        if !config.states.is_empty() {
            let pairs: Vec<(&str, &str)> = config.states.iter().map(|[output, input]| (&**output, &**input)).collect();
            model = model.with_states(&pairs)?;
        }
        let session = match &device.device {
            Device::Gpu(gpu) => Session::new_blocking(gpu, &model, options.clone())?,
            Device::Cpu => Session::cpu(&model, options.clone())?,
        };
        let interface = Interface::of(&model, &session)?;
        let rows = rows(&config, &interface, !session.states().is_empty())?;
        let (name, version) = (folder.name.clone(), folder.version.number);
        let loaded = LoadedModel { name, version, interface, config, rows, device, session };
        loaded.check_sequences()?;
        loaded.warm()?;
        Ok(Arc::new(loaded))
    }

    /// The most rows of a batch.
    pub fn max_rows(&self) -> usize {
        self.rows.last().copied().unwrap_or(1)
    }

    /// The dimension along which requests are joined, if they are.
    pub fn joined(&self) -> Option<&BatchDimension> {
        self.interface.batch.as_ref().filter(|_| self.max_rows() > 1)
    }

    /// The number of rows that so many are filled up to.
    pub fn filled(&self, rows: usize) -> usize {
        self.rows.iter().copied().find(|bucket| *bucket >= rows).unwrap_or(rows)
    }

    /// The most sequences that run at a time: as many as the configuration says, and as their states leave room for.
    pub fn max_sequences(&self) -> usize {
        let sequences = &self.config.sequences;
        match self.session.states().is_empty() {
            true => 0,
            false => sequences.max_sequences.min(sequences.max_bytes / self.state_bytes().max(1)),
        }
    }

    /// What the states of a sequence hold, as far as their extents are known.
    fn state_bytes(&self) -> usize {
        let extent = |dim: &Dim| if let Dim::Known(extent) = dim { *extent } else { 1 };
        let bytes = |state: &InputInfo| {
            let extents = state.dims.iter().flatten().map(extent);
            extents.fold(state.dtype.size(), usize::saturating_mul)
        };
        self.session.states().iter().map(bytes).fold(0, usize::saturating_add)
    }

    fn check_sequences(&self) -> Result<()> {
        if self.session.states().is_empty() || self.max_sequences() > 0 {
            return Ok(());
        }
        let (found, bound) = (self.state_bytes(), self.config.sequences.max_bytes);
        Err(Failure::invalid(format!(
            "model.toml: sequences.max_bytes: the states of one sequence hold {found} bytes, found {bound}"
        )))
    }

    /// Runs the shapes of the configuration; where it names none and nothing but the number of rows is open, those. Nobody said that a
    /// model takes zeros there, as a length for instance: one that does not is warm after its first request.
    fn warm(&self) -> Result<()> {
        if self.config.warm.is_empty() {
            let warmed = self.run_zeros(self.closed_shapes());
            if let Err(failure) = warmed {
                tracing::info!(target: "gristmill_serve", model = self.name, reason = failure.message(), "not warm");
            }
            return Ok(());
        }
        self.run_zeros(self.config.warm.iter().map(|shapes| self.named(shapes)).collect::<Result<Vec<_>>>()?)
    }

    /// Runs inputs of these types that are all zeros.
    fn run_zeros(&self, shapes: Vec<Vec<(String, TensorType)>>) -> Result<()> {
        for shape in shapes {
            let tensors: Vec<(String, Tensor)> = shape.into_iter().map(|(name, ty)| (name, Tensor::zeros(ty))).collect();
            let views: Vec<_> = tensors.iter().map(|(name, tensor)| (&**name, tensor.view())).collect();
            let run = match self.session.states().is_empty() {
                true => self.session.run_blocking(&views).map(|_| ()),
                false => self.session.state().and_then(|mut state| self.session.run_with_blocking(&mut state, &views)).map(|_| ()),
            };
            run.map_err(|e| Failure::from(e).within("warming up"))?;
        }
        Ok(())
    }

    /// The types of inputs of these shapes.
    fn named(&self, shapes: &std::collections::BTreeMap<String, Vec<usize>>) -> Result<Vec<(String, TensorType)>> {
        let described = |(name, shape): (&String, &Vec<usize>)| {
            crate::protocol::elements(name, shape)?;
            let input = self.interface.input(name);
            let dtype = input.and_then(|input| input.datatype.dtype());
            let unknown = || Failure::invalid(format!("model.toml: warm: the model has no input `{name}`"));
            Ok((name.clone(), TensorType::new(dtype.ok_or_else(unknown)?, shape.clone())))
        };
        shapes.iter().map(described).collect()
    }

    /// For each number of rows the types of all inputs, where nothing else of them is open.
    fn closed_shapes(&self) -> Vec<Vec<(String, TensorType)>> {
        let needed = || self.interface.inputs.iter().enumerate().filter(|(_, input)| !input.optional);
        let of = |rows: usize| {
            let input = |(index, input): (usize, &super::TensorDescription)| {
                let dims = input.dims.as_ref()?.iter().enumerate();
                let along = self.interface.batch.as_ref().and_then(|batch| batch.inputs.get(index));
                let extent = |(axis, dim): (usize, &Option<usize>)| dim.or_else(|| (along == Some(&axis)).then_some(rows));
                let shape = dims.map(extent).collect::<Option<Vec<usize>>>()?;
                Some((input.name.clone(), TensorType::new(input.datatype.dtype()?, shape)))
            };
            needed().map(input).collect::<Option<Vec<_>>>()
        };
        self.rows.iter().filter_map(|rows| of(*rows)).collect()
    }
}

/// The numbers of rows that are planned for.
fn rows(config: &ModelConfig, interface: &Interface, has_states: bool) -> Result<Vec<usize>> {
    match &config.batching.rows {
        Some(rows) if rows.last().is_some_and(|rows| *rows > 1) && interface.batch.is_none() => {
            let message = "model.toml: batching.rows: the inputs and outputs of the model share no open dimension";
            Err(Failure::invalid(message))
        }
        Some(rows) => Ok(rows.clone()),
        None if interface.says_batch() && !has_states => Ok(vec![1, 2, 4, 8]),
        None => Ok(vec![1]),
    }
}
