//! Pairing without coordination.
