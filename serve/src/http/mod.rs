//! REST: paths, bodies and connections.

mod body;
mod connections;
mod infer;
mod models;
mod page;
mod reply;
mod routes;
mod unread;

pub(crate) use connections::serve;
pub(crate) use routes::router;
