//! A record that harms the process, for tests: debug builds only.
//!
//! `SHIREN_POISON=HARM@REQUEST_ID@STAGE`: when `STAGE` is given the case of `REQUEST_ID`, the process panics (`panic`), aborts
//! (`abort`), has a segmentation fault (`segv`), runs out of the memory that it is allowed (`memory`) or hangs (`hang`).

use shiren_schemas::records::Envelope;

/// Does what the environment says, in a debug build.
#[inline]
pub(crate) fn poison(stage: &str, case: Option<&Envelope>) {
    #[cfg(debug_assertions)]
    if let Some(case) = case {
        armed::swallow(stage, &case.request_id);
    }
    #[cfg(not(debug_assertions))]
    let _ = (stage, case);
}

#[cfg(debug_assertions)]
mod armed {
    use std::process::{Command, abort};
    use std::sync::OnceLock;
    use std::time::Duration;

    /// A piece of memory that is claimed and never touched.
    const PIECE_BYTES: usize = 256 << 20;

    struct Poison {
        harm: String,
        request_id: String,
        stage: String,
    }

    pub(super) fn swallow(stage: &str, request_id: &str) {
        static POISON: OnceLock<Option<Poison>> = OnceLock::new();
        let Some(poison) = POISON.get_or_init(read) else {
            return;
        };
        if poison.stage != stage || poison.request_id != request_id {
            return;
        }
        eprintln!("poison: {} of {request_id} in {stage}", poison.harm);
        match poison.harm.as_str() {
            "panic" => std::panic::panic_any("poison"),
            "segv" => segmentation_fault(),
            "memory" => out_of_memory(),
            "hang" => loop {
                std::thread::sleep(Duration::from_secs(1));
            },
            _ => abort(),
        }
    }

    fn read() -> Option<Poison> {
        let value = std::env::var("SHIREN_POISON").ok()?;
        let mut parts = value.splitn(3, '@').map(str::to_owned);
        let parts = (parts.next(), parts.next(), parts.next());
        let (Some(harm), Some(request_id), Some(stage)) = parts else {
            eprintln!("SHIREN_POISON={value}: write HARM@REQUEST_ID@STAGE");
            abort();
        };
        Some(Poison {
            harm,
            request_id,
            stage,
        })
    }

    fn segmentation_fault() {
        // The first only takes away Rust's own handler, which looks for overflowed stacks.
        let kill = format!("kill -SEGV {}", std::process::id());
        loop {
            let _ = Command::new("sh").args(["-c", &kill]).status();
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Ends where a limit (`ulimit -v`) is: without one it would not, so it ends by itself after a while.
    fn out_of_memory() {
        let mut pieces: Vec<Vec<u8>> = Vec::new();
        for _ in 0..4096 {
            pieces.push(Vec::with_capacity(PIECE_BYTES));
        }
        eprintln!("poison: there is no limit on memory");
        abort();
    }
}
