//! Runs the MeshOS core for real.
