//! The table `[data]`: from files to batches.

use super::configuration::{ConversionTable, DataKind, DataTable, HeldOut, Source};
use super::names::listed;
use super::renamed::Renamed;
use crate::failure::Result;
use gristmill::DType;
use gristmill::graph::Graph;
use gristmill::train::{
    Conversion, Converted, Dataset, Examples, Loader, LoaderOptions, Padding, Subset, TeacherForcing, TokenWindows,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What inputs of several lengths have beside them.
const LENGTHS: &str = "_lengths";

/// Batches to learn from, and those that nothing is learned from.
pub(crate) struct Data {
    pub(crate) training: Loader,
    pub(crate) held_out: Option<Loader>,
}

type Any = Arc<dyn Dataset>;

/// Reads the files of a table, which are relative to `folder`.
pub(crate) fn load(table: &DataTable, folder: &Path, graph: &Graph, source: &Source) -> Result<Data> {
    let reading = Reading { table, folder, graph, source };
    let (training, held_out) = match table.kind {
        DataKind::Examples => reading.examples()?,
        DataKind::Text => reading.text()?,
    };
    let padding = reading.padding(&*training)?;
    let options = LoaderOptions {
        batch_size: table.batch_size,
        shuffle: table.shuffle,
        seed: table.seed,
        drop_last: table.drop_last,
        buckets: table.buckets.clone(),
        padding,
    };
    let evaluation = LoaderOptions {
        batch_size: table.evaluation_batch_size.unwrap_or(table.batch_size),
        shuffle: false,
        drop_last: false,
        ..options.clone()
    };
    let wrong = source.because("data");
    let held_out = held_out.map(|data| Loader::new(reading.converted(data), evaluation)).transpose().map_err(&wrong)?;
    Ok(Data { training: Loader::new(reading.converted(training), options).map_err(&wrong)?, held_out })
}

struct Reading<'a> {
    table: &'a DataTable,
    folder: &'a Path,
    graph: &'a Graph,
    source: &'a Source,
}

impl Reading<'_> {
    /// A file that a key names.
    fn file(&self, key: &str, file: &Path) -> Result<PathBuf> {
        let path = self.folder.join(file);
        match path.is_file() {
            true => Ok(path),
            false => {
                let message = format!("there is no file {}; --data FOLDER reads files from another folder", path.display());
                Err(self.source.wrong(key, message))
            }
        }
    }

    fn examples(&self) -> Result<(Any, Option<Any>)> {
        self.only(&["tensor", "context"], "data of examples")?;
        let training = self.read("data.training", &self.table.training)?;
        Ok(match &self.table.held_out {
            None => (self.taught(training)?, None),
            Some(HeldOut::File(file)) => (self.taught(training)?, Some(self.taught(self.read("data.held_out", file)?)?)),
            Some(HeldOut::Part(part)) => {
                let count = ((training.count() as f64 * part).round() as usize).max(1);
                let [training, held_out] =
                    Subset::split(training, count, self.table.seed).map_err(self.source.because("data.held_out"))?;
                (self.taught(training)?, Some(self.taught(held_out)?))
            }
        })
    }

    fn read(&self, key: &str, file: &Path) -> Result<Examples> {
        let wrong = self.source.because(key);
        let examples = Examples::load(self.file(key, file)?).map_err(wrong)?;
        match &self.table.measured_by {
            Some(input) => examples.measured_by(input).map_err(self.source.because("data.measured_by")),
            None => Ok(examples),
        }
    }

    /// Examples with what a decoder is given.
    fn taught(&self, examples: impl Dataset + 'static) -> Result<Any> {
        let Some(teacher) = &self.table.teacher else { return Ok(Arc::new(examples)) };
        let forced = TeacherForcing {
            data: examples,
            target: teacher.target.clone(),
            decoder_input: teacher.decoder_input.clone(),
            begin: teacher.begin,
            end: teacher.end,
        };
        forced.example(0).map_err(self.source.because("data.teacher"))?;
        Ok(Arc::new(forced))
    }

    fn text(&self) -> Result<(Any, Option<Any>)> {
        self.only(&["teacher", "measured_by", "buckets", "padding"], "a text")?;
        let context = self
            .table
            .context
            .ok_or_else(|| self.source.wrong("data.context", "the key is missing: how many tokens of the text an example has"))?;
        let name = self.table.tensor.as_deref().unwrap_or("tokens");
        let read =
            |key: &str, file: &Path| TokenWindows::load(self.file(key, file)?, name, context).map_err(self.source.because(key));
        let training = read("data.training", &self.table.training)?;
        Ok(match &self.table.held_out {
            None => (Arc::new(training), None),
            Some(HeldOut::File(file)) => (Arc::new(training), Some(Arc::new(read("data.held_out", file)?))),
            Some(HeldOut::Part(part)) => {
                let [training, held_out] = training.split(*part).map_err(self.source.because("data.held_out"))?;
                (Arc::new(training), Some(Arc::new(held_out)))
            }
        })
    }

    /// Refuses keys that are of no use to these data.
    fn only(&self, without: &[&str], what: &str) -> Result<()> {
        match without.iter().map(|key| format!("data.{key}")).find(|key| self.source.has(key)) {
            Some(key) => Err(self.source.wrong(&key, format!("of no use to {what}"))),
            None => Ok(()),
        }
    }

    /// Inputs that are of another length in each example, by the names that the network knows.
    fn padding(&self, data: &dyn Dataset) -> Result<Vec<Padding>> {
        let example = data.example(0).map_err(self.source.because("data.training"))?;
        let stored: Vec<&str> = example.iter().map(|(name, _)| name.as_str()).collect();
        let missing = |table: &str, key: &str, known: &[&str]| {
            let message = format!("no such input; the data have {}", listed(known));
            self.source.wrong(&format!("data.{table}.{key}"), message)
        };
        if let Some((new, _)) = self.table.names.iter().find(|(_, old)| !stored.contains(&old.as_str())) {
            return Err(missing("names", new, &stored));
        }
        let new_name = |old: &'_ str| self.table.names.iter().find(|(_, known)| *known == old).map(|(new, _)| new.as_str());
        let named: Vec<&str> = stored.iter().map(|old| new_name(old).unwrap_or(old)).collect();
        let known = |name: &&String| !named.contains(&name.as_str());
        if let Some(name) = self.table.padding.keys().find(known) {
            return Err(missing("padding", name, &named));
        }
        if let Some(name) = self.table.conversions.keys().find(known) {
            return Err(missing("conversions", name, &named));
        }
        let is_taught = |old: &str| self.table.teacher.as_ref().is_some_and(|teacher| teacher.decoder_input == old);
        let is_ragged = |old: &str| is_taught(old) || stored.contains(&format!("{old}{LENGTHS}").as_str());
        let inputs = stored.iter().zip(&named);
        let ragged = inputs.filter(|(old, new)| is_ragged(old) || self.table.padding.contains_key(**new));
        let padding = |(_, name): (&&str, &&str)| {
            let (value, multiple) = self.table.padding.get(*name).map_or((0.0, 1), |padding| (padding.value, padding.multiple));
            Padding { input: name.to_string(), value, multiple }
        };
        Ok(ragged.map(padding).collect())
    }

    /// The same with the names and numbers that the network takes.
    fn converted(&self, data: Any) -> Converted<Renamed<Any>> {
        let names = self.table.names.iter().map(|(new, old)| (old.clone(), new.clone())).collect();
        let conversions = self.table.conversions.iter().map(|(name, table)| self.conversion(name, table)).collect();
        Converted::for_graph(Renamed { data, names }, self.graph, conversions)
    }

    fn conversion(&self, name: &str, table: &ConversionTable) -> Conversion {
        let declared = self.graph.inputs().iter().find(|input| self.graph.value(input.value).name == name);
        let dtype = declared.map_or(DType::F32, |input| input.dtype);
        let normalized =
            Conversion::normalized(name, table.divisor.unwrap_or(1.0), table.mean.unwrap_or(0.0), table.deviation.unwrap_or(1.0));
        let (scale, offset) = (table.scale.unwrap_or(1.0), table.offset.unwrap_or(0.0));
        Conversion { input: name.into(), dtype, scale: normalized.scale * scale, offset: normalized.offset * scale + offset }
    }
}
