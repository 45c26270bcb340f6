//! The binary; everything is in the library.

/// Half of what an append costs beside its signature is many small pieces of memory, and this hands
/// them out faster than the system does (docs/PERFORMANCE.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    urbanmine::cli::run()
}
