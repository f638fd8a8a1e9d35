//! What is measured, in the text format of Prometheus.

use crate::caller::Origin;
use crate::engine::{Dispatcher, Done, Parts, Served};
use crate::failure::{Code, Failure, Result};
use crate::repository::DeviceMemory;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use std::fmt::{self, Write};
use std::time::Duration;

/// What carries a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// REST.
    Http,
    /// gRPC.
    Grpc,
}

impl EncodeLabelValue for Protocol {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        encoder.write_str(match self {
            Protocol::Http => "http",
            Protocol::Grpc => "grpc",
        })
    }
}

/// A request by model, protocol, tenant and how it ended. Tenants are those of the keys, so that there are so many and no more.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    model: String,
    protocol: Protocol,
    tenant: String,
    code: &'static str,
}

/// A request that never came to a model.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    protocol: Protocol,
    tenant: String,
    code: &'static str,
}

/// A model.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfModel {
    model: String,
}

/// A device.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfDevice {
    device: u32,
    name: String,
}

/// A part of the work on a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPart {
    model: String,
    part: &'static str,
}

/// Times from a tenth of a millisecond to a minute.
fn times() -> Histogram {
    Histogram::new(exponential_buckets(0.000_1, 2.0, 20))
}

/// Numbers of rows.
fn sizes() -> Histogram {
    Histogram::new(exponential_buckets(1.0, 2.0, 10))
}

/// What is measured of all requests.
pub struct Metrics {
    registry: Registry,
    requests: Family<Ended, Counter>,
    refused: Family<Refused, Counter>,
    duration: Family<OfModel, Histogram>,
    queued: Family<OfModel, Histogram>,
    computed: Family<OfModel, Histogram>,
    parts: Family<OfPart, Histogram>,
    batch: Family<OfModel, Histogram>,
    waiting: Family<OfModel, Gauge>,
    all_waiting: Gauge,
    waiting_bytes: Gauge,
    loads: Family<OfModel, Counter>,
    plans: Family<OfModel, Gauge>,
    sequences: Family<OfModel, Gauge>,
    memory: Family<OfDevice, Gauge>,
    reserved: Family<OfDevice, Gauge>,
    ready: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("gristmill");
        let requests = Family::default();
        registry.register("requests", "Inference requests by how they ended", requests.clone());
        let refused = Family::default();
        registry.register("refused_requests", "Requests that were refused for their key, or its limits", refused.clone());
        let duration = Family::new_with_constructor(times as fn() -> Histogram);
        registry.register_with_unit("request", "From a request to its answer", Unit::Seconds, duration.clone());
        let queued = Family::new_with_constructor(times as fn() -> Histogram);
        registry.register_with_unit("queue", "Time in the queue of requests that were computed", Unit::Seconds, queued.clone());
        let computed = Family::new_with_constructor(times as fn() -> Histogram);
        registry.register_with_unit("compute", "Time that a request's batch took", Unit::Seconds, computed.clone());
        let parts = Family::new_with_constructor(times as fn() -> Histogram);
        registry.register_with_unit("part", "Time that a part of the work on a request took", Unit::Seconds, parts.clone());
        let batch = Family::new_with_constructor(sizes as fn() -> Histogram);
        registry.register("batch_rows", "Rows of the batch that a request was computed in", batch.clone());
        let waiting = Family::default();
        registry.register("model_queue_requests", "Requests that wait for a model", waiting.clone());
        let all_waiting = Gauge::default();
        registry.register("queue_requests", "Requests that wait", all_waiting.clone());
        let waiting_bytes = Gauge::default();
        registry.register_with_unit("queue", "Memory of requests that wait", Unit::Bytes, waiting_bytes.clone());
        let loads = Family::default();
        registry.register("model_loads", "How often a model was loaded", loads.clone());
        let plans = Family::default();
        registry.register("model_plans", "Plans that a model's session made so far", plans.clone());
        let sequences = Family::default();
        registry.register("model_sequences", "Sequences of requests that run", sequences.clone());
        let memory = Family::default();
        registry.register_with_unit("device_memory", "Memory of a device in use", Unit::Bytes, memory.clone());
        let reserved = Family::default();
        let help = "Memory of a device that is taken from the system";
        registry.register_with_unit("device_memory_reserved", help, Unit::Bytes, reserved.clone());
        let ready = Gauge::default();
        registry.register("ready", "1 while the server is ready", ready.clone());
        Metrics {
            registry,
            requests,
            refused,
            duration,
            queued,
            computed,
            parts,
            batch,
            waiting,
            all_waiting,
            waiting_bytes,
            loads,
            plans,
            sequences,
            memory,
            reserved,
            ready,
        }
    }
}

impl Metrics {
    /// Counts a request that ended. A model that is not there has no label of its own, as clients could make any number of those.
    pub(crate) fn ended(&self, model: Option<&str>, origin: &Origin, code: Option<Code>, time: Duration) {
        let model = model.unwrap_or_default().to_string();
        let code = code.map_or("ok", Code::name);
        let (protocol, tenant) = (origin.protocol, origin.tenant().unwrap_or_default().to_string());
        self.requests.get_or_create(&Ended { model: model.clone(), protocol, tenant, code }).inc();
        self.duration.get_or_create(&OfModel { model }).observe(time.as_secs_f64());
    }

    /// Counts a request that was refused before it came to a model.
    pub(crate) fn refused(&self, protocol: Protocol, tenant: Option<&str>, code: Code) {
        let tenant = tenant.unwrap_or_default().to_string();
        self.refused.get_or_create(&Refused { protocol, tenant, code: code.name() }).inc();
    }

    /// Counts a request that was computed.
    pub(crate) fn computed(&self, model: &str, done: &Done) {
        let label = OfModel { model: model.into() };
        self.queued.get_or_create(&label).observe(done.queued.as_secs_f64());
        self.computed.get_or_create(&label).observe(done.computed.as_secs_f64());
        self.batch.get_or_create(&label).observe(done.rows as f64);
        let Parts { joining, computing, parting } = done.parts;
        for (part, time) in [("joining", joining), ("computing", computing), ("parting", parting)] {
            self.part(model, part, time);
        }
    }

    /// Counts the time that a part of a request took.
    fn part(&self, model: &str, part: &'static str, time: Duration) {
        self.parts.get_or_create(&OfPart { model: model.into(), part }).observe(time.as_secs_f64());
    }

    /// Counts the time that writing an answer took.
    pub(crate) fn serialised(&self, model: &str, time: Duration) {
        self.part(model, "serialising", time);
    }

    /// Counts a model that was loaded.
    pub(crate) fn loaded(&self, model: &str) {
        self.loads.get_or_create(&OfModel { model: model.into() }).inc();
    }

    /// What was measured so far, as text.
    ///
    /// # Errors
    /// [`Internal`](Code::Internal) when it cannot be written.
    pub(crate) fn text<'a>(
        &self,
        dispatcher: &Dispatcher,
        models: impl Iterator<Item = &'a Served>,
        devices: &[DeviceMemory],
        ready: bool,
    ) -> Result<String> {
        let gauge = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.waiting.clear();
        self.plans.clear();
        self.sequences.clear();
        for served in models {
            let label = OfModel { model: served.model.name.clone() };
            self.waiting.get_or_create(&label).set(gauge(dispatcher.waiting(served).0));
            self.sequences.get_or_create(&label).set(gauge(dispatcher.sequences(served).running));
            let plans = served.model.session.counters().plans;
            self.plans.get_or_create(&label).set(i64::try_from(plans).unwrap_or(i64::MAX));
        }
        let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        for DeviceMemory { id, name, used, reserved } in devices {
            let label = OfDevice { device: *id, name: name.clone() };
            self.memory.get_or_create(&label).set(bytes(*used));
            self.reserved.get_or_create(&label).set(bytes(*reserved));
        }
        let (requests, bytes) = dispatcher.all_waiting();
        self.all_waiting.set(gauge(requests));
        self.waiting_bytes.set(gauge(bytes));
        self.ready.set(i64::from(ready));
        let mut text = String::new();
        encode(&mut text, &self.registry).map_err(|e| Failure::internal(format!("the metrics cannot be written: {e}")))?;
        Ok(text)
    }
}
