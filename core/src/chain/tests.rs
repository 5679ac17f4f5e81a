//! Histories of orders against the bytes they leave, cut off and damaged everywhere.

mod disk;
mod history;
mod smoke;
