//! MeshOS in the simulator: the model of a host, the scenarios and the checks.

pub mod checks;
pub mod history;
pub mod model;
