//! Small machines that show how to write one, and that the engine is tested and measured with.

pub mod heartbeat;
pub mod ping_pong;
pub mod rally;
