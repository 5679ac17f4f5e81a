//! MeshOS in the simulator.
