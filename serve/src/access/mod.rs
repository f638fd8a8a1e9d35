//! Who may ask for what: tenants known by the hashes of their keys, the models that are theirs, and how much they may ask for at a time.
//! Both protocols come through here by way of `caller`.

mod door;
mod share;
mod tenant;
mod tenants;

pub(crate) use door::Door;
pub(crate) use share::{Pool, Share};
pub(crate) use tenant::{Tenant, Turn};
