//! The dozen frames of AMQP 0-9-1 that a check sends and receives.

mod decode;
mod encode;
mod frame;
#[cfg(test)]
mod tests;

pub use decode::{MAX_FRAME, decode};
pub use encode::{channel_close_ok, channel_open, close, close_ok, declare, open, publish, start_ok, tune_ok};
pub use frame::{AmqpFrame, AmqpLogin, HEADER, MAX_SHORT};
