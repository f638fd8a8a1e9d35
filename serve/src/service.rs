//! What the server does, whatever protocol asks for it.

use crate::access::{Door, Pool};
use crate::caller::Origin;
use crate::catalog::Catalog;
use crate::connections::Tls;
use crate::engine::{Dispatcher, Done, Parts, Prepared, Served};
use crate::failure::{Code, Failure, Result};
use crate::metrics::Metrics;
use crate::protocol::{InferRequest, InferResponse, InferTensor, Times, classify};
use crate::settings::Settings;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What the server does.
pub struct Service {
    pub(crate) settings: Settings,
    pub(crate) catalog: Catalog,
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) metrics: Arc<Metrics>,
    /// The repository was gone through once.
    pub(crate) started: AtomicBool,
    /// The end has begun.
    pub(crate) draining: AtomicBool,
    /// A lost device is being opened again.
    reopening: Arc<AtomicBool>,
    /// Bytes of bodies in memory.
    pub(crate) bodies: Pool,
    /// Where keys are shown.
    pub(crate) door: Door,
    /// What connections are encrypted by.
    pub(crate) tls: Option<Tls>,
}

impl Service {
    pub(crate) fn new(
        settings: Settings,
        door: Door,
        tls: Option<Tls>,
        catalog: Catalog,
        dispatcher: Arc<Dispatcher>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let (started, draining) = (AtomicBool::new(false), AtomicBool::new(false));
        let bodies = Pool::new(Arc::default(), settings.max_bodies, "requests");
        Service { settings, catalog, dispatcher, metrics, started, draining, reopening: Arc::default(), bodies, door, tls }
    }

    /// Reads the keys and the certificate again, as when the process is told to. Blocks.
    pub fn reload(&self) {
        self.door.reload(false);
        self.tls.iter().for_each(Tls::reload);
    }

    /// Whether the engine makes progress.
    pub fn lives(&self) -> bool {
        self.dispatcher.heartbeat().age() < self.settings.hang_limit
    }

    /// Whether requests should be sent here: not before the repository was gone through, not at the end, and not while a device is lost, which this
    /// begins to open again.
    pub fn is_ready(&self) -> bool {
        let serves = self.started.load(Ordering::Acquire) && !self.draining.load(Ordering::Acquire) && self.lives();
        serves && !self.reopens()
    }

    /// Whether the device of a model is lost. It is opened again beside all else; requests that come meanwhile wait for that.
    fn reopens(&self) -> bool {
        let lost: Vec<Arc<Served>> = self.catalog.served().into_iter().filter(|served| served.model.session.is_lost()).collect();
        if lost.is_empty() {
            return false;
        }
        if !self.reopening.swap(true, Ordering::AcqRel) {
            let reopening = self.reopening.clone();
            let reopen = move || {
                for served in lost {
                    if let Err(e) = served.model.session.reopen_blocking() {
                        tracing::error!(target: "gristmill_serve", model = served.model.name, reason = %e, "the device is lost");
                    }
                }
                reopening.store(false, Ordering::Release);
            };
            if std::thread::Builder::new().name("reopen".into()).spawn(reopen).is_err() {
                self.reopening.store(false, Ordering::Release);
            }
        }
        true
    }

    /// Whether a model serves.
    pub fn model_is_ready(&self, name: &str, version: Option<&str>) -> Result<bool> {
        match self.catalog.find(name, version) {
            Ok(served) => Ok(self.lives() && !served.model.session.is_lost()),
            Err(failure) if failure.code() == Code::Unavailable => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Runs a model. When the future is dropped before the request is computed, it never is.
    ///
    /// # Errors
    /// What is wrong with the request; [`Busy`](Code::Busy) when a queue is full, [`Expired`](Code::Expired) when its time was over before it
    /// was computed.
    pub async fn infer(
        &self,
        origin: impl Into<Origin>,
        model: &str,
        version: Option<&str>,
        request: &InferRequest,
    ) -> Result<InferResponse> {
        let (start, origin) = (Instant::now(), origin.into());
        let mut found = None;
        let result = self.answered(model, version, request, start, &mut found).await;
        let code = result.as_ref().err().map(Failure::code);
        let time = start.elapsed();
        if let Some(served) = &found {
            served.count_answer(code, time);
        }
        self.metrics.ended(found.as_ref().map(|served| &*served.model.name), &origin, code, time);
        tracing::info!(
            target: "gristmill_serve::access",
            protocol = ?origin.protocol,
            tenant = origin.tenant(),
            trace = %origin.trace,
            model = found.as_ref().map(|served| &*served.model.name),
            id = request.id,
            code = code.map_or("ok", Code::name),
            milliseconds = time.as_secs_f64() * 1e3,
        );
        result
    }

    async fn answered(
        &self,
        model: &str,
        version: Option<&str>,
        request: &InferRequest,
        start: Instant,
        found: &mut Option<Arc<Served>>,
    ) -> Result<InferResponse> {
        // A model that is reloaded in between is found anew.
        for _ in 0..100 {
            let served = found.insert(self.catalog.find(model, version)?);
            served.count(|statistics| statistics.last = Some(std::time::SystemTime::now()));
            let interface = &served.model.interface;
            interface.check_outputs(request.outputs.iter().map(|output| output.name.as_str()))?;
            let prepared = Prepared::new(&served.model, request.inputs.clone(), request.sequence.as_ref())?;
            let usual = served.model.config.queue.timeout_ms;
            let usual = (usual > 0).then(|| Duration::from_millis(usual.into()));
            // So late that a clock does not count to it is never.
            let deadline = request.timeout.or(usual).and_then(|timeout| start.checked_add(timeout));
            let ticket = self.dispatcher.submit(served, &prepared, request.priority, deadline)?;
            let Some(ticket) = ticket else { continue };
            drop(prepared);
            let done = ticket.answer(deadline).await?;
            self.metrics.computed(&served.model.name, &done);
            return response(served, request, &done);
        }
        Err(Failure::new(Code::Unavailable, format!("the model `{model}` is being replaced all the time")))
    }

    /// What was measured so far, as text.
    ///
    /// # Errors
    /// [`Internal`](Code::Internal) when it cannot be written.
    pub(crate) fn metrics_text(&self) -> Result<String> {
        let served = self.catalog.served();
        self.metrics.text(&self.dispatcher, served.iter().map(|served| &**served), &self.catalog.memory(), self.is_ready())
    }
}

/// The outputs that were asked for.
fn response(served: &Served, request: &InferRequest, done: &Done) -> Result<InferResponse> {
    let tensor = |(name, dtype, shape, bytes): &(String, gristmill::DType, Vec<usize>, bytes::Bytes)| {
        InferTensor::new(name.clone(), (*dtype).into(), shape.clone(), bytes.clone())
    };
    let outputs = match request.outputs.is_empty() {
        true => done.outputs.iter().map(tensor).collect::<Result<_>>()?,
        false => {
            let mut outputs = Vec::new();
            for requested in &request.outputs {
                let found = done.outputs.iter().find(|(name, ..)| *name == requested.name);
                let missing = || Failure::internal(format!("the run gave no output `{}`", requested.name));
                let output = tensor(found.ok_or_else(missing)?)?;
                outputs.push(if requested.classes > 0 { classify(&output, requested.classes)? } else { output });
            }
            outputs
        }
    };
    let (model, version) = (served.model.name.clone(), served.model.version.to_string());
    let Parts { joining, computing, parting } = done.parts;
    let times = request.trace.then_some(Times { queue: done.queued, joining, computing, parting });
    Ok(InferResponse { model, version, id: request.id.clone(), outputs, times })
}
