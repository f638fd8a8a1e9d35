//! `/v1/embeddings`: vectors of texts, in the form of OpenAI's interface. A text is a request for one row of a model, like any other: rows are
//! joined and padded by those rooms that do so for all.

mod handler;
mod pool;
mod reply;
mod request;

pub(crate) use handler::answer;
