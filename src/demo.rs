//! The parts of the demo: an SMTP server that journals each mail, worker processes, and the audit of journal against ledger.

pub mod audit;
pub mod sink;
pub mod worker_processes;
