//! Histories of orders against the bytes they leave, cut off and damaged everywhere.

mod commit;
mod crash;
mod disk;
mod flip;
mod full;
mod history;
mod retain;
mod smoke;
