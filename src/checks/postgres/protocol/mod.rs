//! PostgreSQL's protocol over one connection: the bytes, the messages under way, the responses.

mod frames;
mod group;
mod pipeline;
mod receive;
mod response;
mod session;
mod transport;

pub use group::{SessionGroup, StatementId};
pub use pipeline::ReplyState;
#[cfg(test)]
pub use response::tests;
pub use response::{DataRow, Response, literal, names};
pub use session::{IDLE, Session, Ticket};
pub use transport::{Lent, Secured, Transport};
