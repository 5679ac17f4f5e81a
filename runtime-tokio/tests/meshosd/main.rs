//! `meshosd` as its users meet it: real processes on loopback.
#![cfg(feature = "tokio")]

mod cluster;
mod commands;
mod common;
mod damage;
mod guide;
mod links;
mod mistakes;
mod operating;
mod readme;
