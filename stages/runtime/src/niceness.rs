//! What the scheduler is told of worker loops that can wait.

/// The most niceness there is.
#[cfg(target_os = "linux")]
const NICE_MAX: i32 = 19;

/// Makes the calling thread, and those that it will start, yield to all others at the same machine. Between threads of one
/// process it holds whatever cgroup or session the process is in, which a process's own niceness does not. With 19 it is of
/// Linux' idle class too: whoever wakes has the core at once, where nice alone lets a thread end its slice of some
/// milliseconds first.
pub(crate) fn yield_to_others(nice: i32) {
    if nice == 0 {
        return;
    }
    // Elsewhere it would change the whole process.
    #[cfg(target_os = "linux")]
    {
        let idled = rustix::process::setpriority_process(None, nice)
            .map_err(std::io::Error::from)
            .and_then(|()| if nice == NICE_MAX { idle() } else { Ok(()) });
        if let Err(error) = idled {
            tracing::warn!(%error, nice, "the niceness of runtime.nice or bulk_nice could not be set: this loop competes with the others");
        }
    }
}

/// Puts the calling thread into the class `SCHED_IDLE` (sched(7)). rustix has no such call.
#[cfg(target_os = "linux")]
fn idle() -> std::io::Result<()> {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: the pointer is to a whole `sched_param` that lives beyond the call, which reads it and nothing else; 0 is the
    // calling thread.
    let refused = unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const parameters) };
    if refused == 0 {
        return Ok(());
    }
    Err(std::io::Error::last_os_error())
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    /// Niceness and scheduling class of the calling thread.
    fn of() -> (i32, i32) {
        // SAFETY: no pointer is handed over; 0 is the calling thread.
        let class = unsafe { libc::sched_getscheduler(0) };
        (rustix::process::getpriority_process(None).unwrap(), class)
    }

    fn inside(nice: i32) -> [(i32, i32); 2] {
        let thread = std::thread::spawn(move || {
            yield_to_others(nice);
            [of(), std::thread::spawn(of).join().unwrap()]
        });
        thread.join().unwrap()
    }

    #[test]
    fn a_thread_is_made_nice_with_what_it_starts_and_no_other() {
        let before = of();
        assert_eq!(inside(19), [(19, libc::SCHED_IDLE); 2]);
        assert_eq!(inside(10), [(10, libc::SCHED_OTHER); 2]);
        assert_eq!(inside(0), [before; 2]);
        assert_eq!(of(), before);
    }
}
