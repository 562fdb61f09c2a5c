//! Plimsoll's program.

use std::process::ExitCode;

/// Faster than the system's allocator under many small allocations from many threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match plimsoll::cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.sentence.is_empty() {
                eprintln!("plimsoll: {}", failure.sentence);
            }
            ExitCode::from(failure.code)
        }
    }
}
