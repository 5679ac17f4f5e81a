//! One chain, one handler at a time: the new state and the whole list of actions.

mod bench;
mod client;
mod elect;
mod follower;
mod helper;
mod leader;
mod overtake;
mod resend;
mod retain;
mod seek;
mod snapshot;
mod status;
mod store;
mod transfer;
mod unknown;
