//! Memory of this process, as the kernel counts it.

const KIB: u64 = 1024;

/// Resident memory now, bytes; `None` where the system does not tell.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    from_status(
        "VmRSS:",
        &std::fs::read_to_string("/proc/self/status").ok()?,
    )
}

/// The most that process `pid` has held since it was started, bytes; `None` where it does not run, or the system
/// does not tell.
#[must_use]
pub fn peak_resident_bytes(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    from_status("VmHWM:", &status)
}

/// A field of `/proc/PID/status` (proc_pid_status(5)), bytes.
fn from_status(field: &str, status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * KIB)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_name() {
        let status = "Name:\tshiren\nVmHWM:\t   20 kB\nVmRSS:\t   12 kB\n";
        assert_eq!(from_status("VmRSS:", status), Some(12 * 1024));
        assert_eq!(from_status("VmSwap:", status), None);
        assert_eq!(from_status("VmRSS:", "VmRSS: many kB"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_is_touched_is_counted() {
        let before = resident_bytes().unwrap();
        let block = std::hint::black_box(vec![1_u8; 64 << 20]);
        let after = resident_bytes().unwrap();
        assert!(
            after >= before + (block.len() as u64) / 2,
            "{before}, {after}"
        );
    }
}
