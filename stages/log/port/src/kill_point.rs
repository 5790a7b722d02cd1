//! Points inside the steps of a bundle at which a test can end or halt the process.
//!
//! A test cannot hit the moment between two steps of a commit from outside. So the steps name
//! themselves, and the environment says at which of them the process stops:
//! - `SHIREN_KILL_POINT=produced@3`: it dies of SIGKILL the third time that `produced` is reached;
//! - `SHIREN_HALT_POINT=produced@3`: it is halted by SIGSTOP there, until somebody sends SIGCONT.
//!
//! Only builds with debug assertions have them: a worker in production must not be killed by a
//! variable of its environment.

/// The steps of a bundle: read, decided, transaction begun, outputs and offsets in it, committed.
/// Engines may write outputs and offsets in either order.
pub const STEPS: &[&str] = &[
    "polled",
    "computed",
    "begun",
    "produced",
    "offsets_sent",
    "committed",
];

/// Marks a step of this name as reached. Does nothing in a release build.
#[inline]
pub fn kill_point(step: &'static str) {
    #[cfg(debug_assertions)]
    armed::reached(step);
    #[cfg(not(debug_assertions))]
    let _ = step;
}

#[cfg(debug_assertions)]
mod armed {
    use std::process::{Command, abort};
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A step at which something happens, and how often it was reached so far.
    struct Point {
        step: String,
        /// 1 is the first time.
        at: u32,
        signal: &'static str,
        reached: AtomicU32,
    }

    pub(super) fn reached(step: &'static str) {
        static POINTS: OnceLock<Vec<Point>> = OnceLock::new();
        for point in POINTS.get_or_init(points).iter().filter(|p| p.step == step) {
            if point.reached.fetch_add(1, Ordering::SeqCst) + 1 == point.at {
                signal_this_process(point.signal);
            }
        }
    }

    fn points() -> Vec<Point> {
        let variables = [("SHIREN_KILL_POINT", "KILL"), ("SHIREN_HALT_POINT", "STOP")];
        variables
            .into_iter()
            .filter_map(|(name, signal)| point(name, signal))
            .collect()
    }

    fn point(variable: &str, signal: &'static str) -> Option<Point> {
        let value = std::env::var(variable).ok()?;
        let parts = value.split_once('@');
        let parts = parts.and_then(|(step, at)| Some((step, at.parse().ok().filter(|n| *n > 0)?)));
        let Some((step, at)) = parts else {
            // A test whose point is never reached would wait for ever.
            eprintln!("{variable}={value}: write STEP@N, N from 1");
            abort();
        };
        Some(Point {
            step: step.to_owned(),
            at,
            signal,
            reached: AtomicU32::new(0),
        })
    }

    /// Returns once the process has been continued; never after KILL.
    fn signal_this_process(signal: &str) {
        let pid = std::process::id();
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -{signal} {pid}")])
            .status();
        let is_sent = sent.is_ok_and(|status| status.success());
        if !is_sent || signal == "KILL" {
            abort();
        }
    }
}
