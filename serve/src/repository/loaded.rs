//! A model that is ready to serve.

use super::config::ModelConfig;
use super::devices::{Device, Devices, Placed};
use super::embedder::Embedder;
use super::interface::{BatchDimension, Interface};
use super::layout::Folder;
use super::padding::Padding;
use crate::failure::{Failure, Result};
use gristmill::graph::Dim;
use gristmill::{InputInfo, Model, Options, Session, Tensor, TensorType};
use std::sync::Arc;

/// The most plans that a session keeps of a graph.
const MAX_PLANS: usize = 16;

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
    /// The dimension that its inputs are padded along, if they are.
    pub padding: Option<Padding>,
    /// What makes vectors of texts by it, if it is for that.
    pub embedder: Option<Embedder>,
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
        let mut interface = Interface::of(&model, &session)?;
        let pad = config.batching.pad.as_ref();
        let padding = pad.map(|pad| Padding::new(pad, &model, &session, &mut interface)).transpose()?;
        let settings = config.embeddings.as_ref();
        let embedder = settings.map(|settings| Embedder::new(settings, folder, &interface, padding.as_ref())).transpose()?;
        let rows = rows(&config, &interface, !session.states().is_empty())?;
        let (name, version) = (folder.name.clone(), folder.version.number);
        let loaded = LoadedModel { name, version, interface, config, rows, padding, embedder, device, session };
        loaded.check_sequences()?;
        loaded.check_plans()?;
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

    /// Padding is for a handful of plans: no more than a session keeps.
    fn check_plans(&self) -> Result<()> {
        let Some(padding) = &self.padding else { return Ok(()) };
        let (rows, lengths) = (self.rows.len(), padding.lengths.len());
        if rows.saturating_mul(lengths) <= MAX_PLANS {
            return Ok(());
        }
        let message = format!(
            "model.toml: batching: {rows} numbers of rows for each of {lengths} lengths: expected at most {MAX_PLANS} of both together"
        );
        Err(Failure::invalid(message))
    }

    /// Runs the shapes of the configuration; where it names none and nothing but rows and padded lengths is open, those. Nobody said that a
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

    /// For each number of rows, and each length that inputs are padded to, the types of all inputs, where nothing else of them is open.
    fn closed_shapes(&self) -> Vec<Vec<(String, TensorType)>> {
        let needed = |(index, input): &(usize, &super::TensorDescription)| !input.optional || self.is_mask(*index);
        let needed: Vec<_> = self.interface.inputs.iter().enumerate().filter(needed).collect();
        let of = |rows: usize, length: Option<usize>| {
            let input = |(index, input): &(usize, &super::TensorDescription)| {
                let dims = input.dims.as_ref()?.iter().enumerate();
                let along = self.interface.batch.as_ref().and_then(|batch| batch.inputs.get(*index));
                let padded = self.padding.as_ref().and_then(|padding| padding.axis(*index));
                let open = |axis: usize| if along == Some(&axis) { Some(rows) } else { length.filter(|_| padded == Some(axis)) };
                let extent = |(axis, dim): (usize, &Option<usize>)| dim.or_else(|| open(axis));
                let shape = dims.map(extent).collect::<Option<Vec<usize>>>()?;
                Some((input.name.clone(), TensorType::new(input.datatype.dtype()?, shape)))
            };
            needed.iter().map(input).collect::<Option<Vec<_>>>()
        };
        let lengths: Vec<Option<usize>> = match &self.padding {
            Some(padding) => padding.lengths.iter().copied().map(Some).collect(),
            None => vec![None],
        };
        self.rows.iter().flat_map(|rows| lengths.iter().filter_map(|length| of(*rows, *length))).collect()
    }

    /// Whether an input is the mask of padding.
    fn is_mask(&self, index: usize) -> bool {
        self.padding.as_ref().is_some_and(|padding| padding.mask.as_ref().is_some_and(|mask| mask.input == index))
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
