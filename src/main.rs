//! The binary: installs the TLS provider and hands over to the command line.

use std::process::ExitCode;

/// A mail is some fifty small allocations and a long one, its task, which glibc serves slowly.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Two providers in one process is the only way this can fail, and it was just started.
    let _ = rustls::crypto::ring::default_provider().install_default();
    warmup::cli::main()
}
