//! The models of a server: what is loaded, what is not and why.

use crate::engine::{Dispatcher, Served};
use crate::failure::{Code, Failure, Result};
use crate::metrics::Metrics;
use crate::repository::{Device, DeviceMemory, Devices, Folder, LoadedModel, is_name, scan};
use gristmill::Options;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How it stands with a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is being read and made warm; an older one may serve meanwhile.
    Loading,
    /// It serves.
    Ready,
    /// It does not serve.
    Unavailable,
}

impl State {
    /// The name that the protocol gives it.
    pub fn name(self) -> &'static str {
        match self {
            State::Loading => "LOADING",
            State::Ready => "READY",
            State::Unavailable => "UNAVAILABLE",
        }
    }
}

/// A line of the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    /// The model's name.
    pub name: String,
    /// The version, where one was found.
    pub version: Option<u32>,
    /// How it stands with it.
    pub state: State,
    /// Why it is not ready, or why a newer one is not; else empty.
    pub reason: String,
}

/// A model by name.
#[derive(Default)]
struct Entry {
    served: Option<Arc<Served>>,
    loading: bool,
    reason: String,
    /// What was last read, whether or not it loaded.
    folder: Option<Folder>,
    /// Unloaded by a client: stays so until one loads it.
    unloaded: bool,
}

/// What is said of a model that is not there.
pub(crate) fn missing(name: &str) -> Failure {
    let shown: String = name.chars().take(128).collect();
    Failure::new(Code::NotFound, format!("there is no model `{shown}`"))
}

/// The models of a server.
pub struct Catalog {
    repository: PathBuf,
    devices: Devices,
    options: Options,
    dispatcher: Arc<Dispatcher>,
    metrics: Arc<Metrics>,
    entries: Mutex<BTreeMap<String, Entry>>,
    /// Held while models are loaded and unloaded: one after another.
    changing: Mutex<()>,
}

impl Catalog {
    /// A catalog in which nothing is loaded yet.
    pub fn new(repository: PathBuf, device: Device, options: Options, dispatcher: Arc<Dispatcher>, metrics: Arc<Metrics>) -> Self {
        let (devices, entries, changing) = (Devices::new(device), Mutex::default(), Mutex::default());
        Catalog { repository, devices, options, dispatcher, metrics, entries, changing }
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The model of a name, and of a version where one is named.
    ///
    /// # Errors
    /// [`NotFound`](Code::NotFound) when there is none, [`Unavailable`](Code::Unavailable) when it does not serve.
    pub fn find(&self, name: &str, version: Option<&str>) -> Result<Arc<Served>> {
        let entries = self.entries();
        let shown: String = name.chars().take(128).collect();
        let entry = entries.get(name).ok_or_else(|| missing(name))?;
        let Some(served) = &entry.served else {
            let why = if entry.loading { "it is being loaded" } else { &entry.reason };
            return Err(Failure::new(Code::Unavailable, format!("the model `{shown}` is not ready: {why}")));
        };
        match version.filter(|version| !version.is_empty() && *version != served.model.version.to_string()) {
            None => Ok(served.clone()),
            Some(version) => {
                let version: String = version.chars().take(32).collect();
                let message = format!("there is no version `{version}` of the model `{shown}`: expected {}", served.model.version);
                Err(Failure::new(Code::NotFound, message))
            }
        }
    }

    /// The models that serve.
    pub fn served(&self) -> Vec<Arc<Served>> {
        self.entries().values().filter_map(|entry| entry.served.clone()).collect()
    }

    /// What the memory of each device holds.
    pub fn memory(&self) -> Vec<DeviceMemory> {
        self.devices.memory()
    }

    /// All models of the repository.
    pub fn index(&self) -> Vec<IndexEntry> {
        let line = |(name, entry): (&String, &Entry)| {
            let state = match &entry.served {
                Some(_) => State::Ready,
                None if entry.loading => State::Loading,
                None => State::Unavailable,
            };
            let version = entry.served.as_ref().map(|served| served.model.version);
            let version = version.or_else(|| entry.folder.as_ref().map(|folder| folder.version.number));
            IndexEntry { name: name.clone(), version, state, reason: entry.reason.clone() }
        };
        self.entries().iter().map(line).collect()
    }

    /// Looks at the repository: loads what is new or changed, unloads what is gone. What fails stands in the index. Blocks.
    ///
    /// # Errors
    /// [`Unavailable`](Code::Unavailable) when the repository cannot be listed.
    pub fn refresh(&self) -> Result<()> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let found = scan(&self.repository)?;
        let gone: Vec<String> = self.entries().keys().filter(|name| !found.contains_key(*name)).cloned().collect();
        for name in gone {
            let entry = self.entries().remove(&name);
            self.close(&name, entry.and_then(|entry| entry.served));
        }
        // All names first, so that a model that waits for its turn is one that is being loaded.
        for name in found.keys() {
            self.entries().entry(name.clone()).or_insert_with(|| Entry { loading: true, ..Entry::default() });
        }
        for (name, folder) in found {
            let changed = |entry: &Entry| match &folder {
                Ok(folder) => entry.folder.as_ref() != Some(folder),
                Err(_) => true,
            };
            if self.entries().get(&name).is_some_and(|entry| !entry.unloaded && changed(entry)) {
                // The reason stands in the index.
                self.put(&name, folder).ok();
            }
        }
        Ok(())
    }

    /// Loads a model, or loads it again: the old one serves until the new one is warm. Blocks.
    ///
    /// # Errors
    /// [`NotFound`](Code::NotFound) when the repository has no such model, and why it does not load; an old one goes on then.
    pub fn load(&self, name: &str) -> Result<()> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = || {
            let shown: String = name.chars().take(128).collect();
            Failure::new(Code::NotFound, format!("the repository has no model `{shown}`"))
        };
        if !is_name(name) {
            return Err(missing());
        }
        let folder = scan(&self.repository)?.remove(name).ok_or_else(missing)?;
        self.put(name, folder)
    }

    /// Takes a model out of service; requests that wait for it are served. Blocks.
    ///
    /// # Errors
    /// [`NotFound`](Code::NotFound) when there is none.
    pub fn unload(&self, name: &str) -> Result<()> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let served = {
            let mut entries = self.entries();
            let entry = entries.get_mut(name).ok_or_else(|| missing(name))?;
            entry.unloaded = true;
            entry.loading = false;
            entry.reason = "unloaded".into();
            entry.served.take()
        };
        self.close(name, served);
        Ok(())
    }

    /// Loads what was found and puts it in the place of what served.
    fn put(&self, name: &str, folder: Result<Folder>) -> Result<()> {
        {
            let mut entries = self.entries();
            let entry = entries.entry(name.to_string()).or_default();
            entry.loading = true;
            entry.unloaded = false;
        }
        // A defect that one model finds must not keep others from being served.
        let load = |folder: Folder| {
            let load = AssertUnwindSafe(|| LoadedModel::load(&folder, &self.devices, &self.options));
            catch_unwind(load)
                .unwrap_or_else(|_| Err(Failure::internal("loading ended in a panic; this is a defect of the server")))
        };
        let open = |model: Arc<LoadedModel>| self.dispatcher.open(model);
        let loaded = folder.clone().and_then(load).and_then(open);
        let mut entries = self.entries();
        let entry = entries.entry(name.to_string()).or_default();
        entry.loading = false;
        entry.folder = folder.ok();
        match loaded {
            Ok(served) => {
                tracing::info!(target: "gristmill_serve", model = name, version = served.model.version, "loaded");
                self.metrics.loaded(name);
                entry.reason.clear();
                let old = entry.served.replace(served);
                drop(entries);
                self.close(name, old);
                Ok(())
            }
            Err(failure) => {
                tracing::warn!(target: "gristmill_serve", model = name, reason = failure.message(), "not loaded");
                entry.reason = failure.message().to_string();
                Err(failure)
            }
        }
    }

    fn close(&self, name: &str, served: Option<Arc<Served>>) {
        if let Some(served) = served {
            tracing::info!(target: "gristmill_serve", model = name, version = served.model.version, "closed");
            self.dispatcher.close(&served);
        }
    }
}
