//! Who asks, and what the server does for them: the one way from the protocols to the service.

use crate::access::{Share, Tenant, Turn};
use crate::catalog::{IndexEntry, State, missing};
use crate::describe;
use crate::engine::Served;
use crate::failure::{Code, Failure, Result};
use crate::metrics::Protocol;
use crate::protocol::{InferRequest, InferResponse, Sequence, SequenceId};
use crate::service::Service;
use crate::trace::Trace;
use hyper::HeaderMap;
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where a request comes from.
#[derive(Clone, Debug)]
pub struct Origin {
    pub(crate) protocol: Protocol,
    /// Whose key it brought; none where the server knows no keys.
    tenant: Option<Arc<Tenant>>,
    pub(crate) trace: Trace,
}

impl From<Protocol> for Origin {
    /// From a program that needs no key.
    fn from(protocol: Protocol) -> Self {
        Origin { protocol, tenant: None, trace: Trace::new() }
    }
}

impl Origin {
    /// The name of the tenant.
    pub(crate) fn tenant(&self) -> Option<&str> {
        self.tenant.as_ref().map(|tenant| &**tenant.name())
    }

    fn sees(&self, model: &str) -> bool {
        self.tenant.as_ref().is_none_or(|tenant| tenant.sees(model))
    }
}

/// Who asks. What is not theirs is not there.
#[derive(Clone)]
pub(crate) struct Caller {
    service: Arc<Service>,
    origin: Origin,
}

impl Caller {
    /// Who brings these headers.
    ///
    /// # Errors
    /// [`Unauthenticated`](Code::Unauthenticated) when the server wants a key and there is none, or one that nobody has.
    pub(crate) fn known(service: &Arc<Service>, protocol: Protocol, headers: &HeaderMap, trace: Trace) -> Result<Self> {
        let tenant = service.door.tenant(headers);
        let origin = Origin { protocol, tenant: tenant.as_ref().ok().cloned().flatten(), trace };
        let caller = Caller { service: service.clone(), origin };
        tenant.map(|_| ()).inspect_err(|failure| caller.refused(failure))?;
        Ok(caller)
    }

    /// Begins a request, which ends when what is returned is dropped.
    ///
    /// # Errors
    /// [`Busy`](Code::Busy) where a limit of the key is reached.
    pub(crate) fn begin(&self) -> Result<Option<Turn>> {
        let turn = self.origin.tenant.as_ref().map(|tenant| tenant.begin(Instant::now())).transpose();
        turn.inspect_err(|failure| self.refused(failure))
    }

    /// Counts and logs a request that never came to a model.
    fn refused(&self, failure: &Failure) {
        let (protocol, tenant, code) = (self.origin.protocol, self.origin.tenant(), failure.code());
        let trace = self.origin.trace;
        self.service.metrics.refused(protocol, tenant, code);
        tracing::info!(target: "gristmill_serve::access", ?protocol, tenant, %trace, code = code.name(), "refused");
    }

    /// The server's settings, and what is asked of it that needs no key.
    pub(crate) fn service(&self) -> &Arc<Service> {
        &self.service
    }

    fn check(&self, model: &str) -> Result<()> {
        if self.origin.sees(model) { Ok(()) } else { Err(missing(model)) }
    }

    fn check_admin(&self) -> Result<()> {
        match self.origin.tenant.as_ref().is_none_or(|tenant| tenant.is_admin()) {
            true => Ok(()),
            false => Err(Failure::new(Code::Forbidden, "expected the key of an admin")),
        }
    }

    /// A model that serves.
    ///
    /// # Errors
    /// [`NotFound`](Code::NotFound) where there is none for the caller, [`Unavailable`](Code::Unavailable) when it does not serve.
    pub(crate) fn find(&self, model: &str, version: Option<&str>) -> Result<Arc<Served>> {
        self.check(model)?;
        self.service.catalog.find(model, version)
    }

    /// The models that serve.
    pub(crate) fn served(&self) -> Vec<Arc<Served>> {
        let mut served = self.service.catalog.served();
        served.retain(|served| self.origin.sees(&served.model.name));
        served
    }

    /// What is counted of a model, in JSON.
    pub(crate) fn statistics(&self, served: &Served) -> Value {
        describe::statistics(served, self.service.dispatcher.sequences(served), self.service.dispatcher.waiting(served).0)
    }

    /// The models of the repository.
    pub(crate) fn index(&self, only_ready: bool) -> Vec<IndexEntry> {
        let mut index = self.service.catalog.index();
        index.retain(|entry| self.origin.sees(&entry.name) && (!only_ready || entry.state == State::Ready));
        index
    }

    /// Whether a model serves.
    pub(crate) fn model_is_ready(&self, model: &str, version: Option<&str>) -> Result<bool> {
        self.check(model)?;
        self.service.model_is_ready(model, version)
    }

    /// A share of the memory for bodies, the server's and the key's.
    ///
    /// # Errors
    /// [`Busy`](Code::Busy) when there is not so much left.
    pub(crate) fn share(&self, bytes: usize) -> Result<Share> {
        let own = self.origin.tenant.as_ref().and_then(|tenant| tenant.pool());
        let mut share = Share::new([self.service.bodies.clone()].into_iter().chain(own).collect());
        share.grow(bytes)?;
        Ok(share)
    }

    /// Runs a model.
    ///
    /// # Errors
    /// See [`Service::infer`].
    pub(crate) async fn infer(&self, model: &str, version: Option<&str>, request: &InferRequest) -> Result<InferResponse> {
        if let Err(failure) = self.check(model) {
            self.service.metrics.ended(None, &self.origin, Some(failure.code()), Duration::ZERO);
            return Err(failure);
        }
        match self.own_sequence(request) {
            Some(request) => self.service.infer(self.origin.clone(), model, version, &request).await,
            None => self.service.infer(self.origin.clone(), model, version, request).await,
        }
    }

    /// The request under a name of the tenant's own for its sequence, where it has one: no tenant goes on with another's.
    fn own_sequence(&self, request: &InferRequest) -> Option<InferRequest> {
        let (tenant, sequence) = (self.origin.tenant()?, request.sequence.as_ref()?);
        let id = sequence.id.as_ref().map(|id| SequenceId::Text(format!("{tenant}/{id}")));
        Some(InferRequest { sequence: Some(Sequence { id, ..sequence.clone() }), ..request.clone() })
    }

    /// What was measured so far, as text.
    ///
    /// # Errors
    /// [`Forbidden`](Code::Forbidden) for all but admins.
    pub(crate) fn metrics_text(&self) -> Result<String> {
        self.check_admin()?;
        self.service.metrics_text()
    }

    /// Looks at the repository for changes.
    ///
    /// # Errors
    /// [`Forbidden`](Code::Forbidden) for all but admins; see [`Catalog::refresh`](crate::Catalog::refresh).
    pub(crate) async fn refresh(&self) -> Result<()> {
        self.change(|service| service.catalog.refresh()).await
    }

    /// Loads a model.
    ///
    /// # Errors
    /// [`Forbidden`](Code::Forbidden) for all but admins; see [`Catalog::load`](crate::Catalog::load).
    pub(crate) async fn load(&self, model: String) -> Result<()> {
        self.change(move |service| service.catalog.load(&model)).await
    }

    /// Takes a model out of service.
    ///
    /// # Errors
    /// [`Forbidden`](Code::Forbidden) for all but admins; see [`Catalog::unload`](crate::Catalog::unload).
    pub(crate) async fn unload(&self, model: String) -> Result<()> {
        self.change(move |service| service.catalog.unload(&model)).await
    }

    /// Changes the repository, which blocks. An admin sees all models, so that there is nothing to hide.
    async fn change(&self, work: impl FnOnce(&Service) -> Result<()> + Send + 'static) -> Result<()> {
        self.check_admin()?;
        let service = self.service.clone();
        let done = tokio::task::spawn_blocking(move || work(&service)).await;
        done.unwrap_or_else(|_| Err(Failure::internal("loading ended in a panic; this is a defect of the server")))
    }
}
