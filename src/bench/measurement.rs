//! A bench's result as it is kept: the figures, and what they hold for.

use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One file of `benches/results`, written by `scripts/bench`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// What was run.
    pub command: String,
    /// When it began, `YYYY-MM-DDThh:mm:ssZ`.
    pub date: String,
    /// Short hash, with `-dirty` where something was not committed.
    pub commit: String,
    /// Cargo's profile.
    pub profile: String,
    /// Where it ran.
    pub machine: Machine,
    /// Load average over 1, 5 and 15 minutes just before, which tells of others' work.
    pub load_average_before: [f64; 3],
    /// What the bench itself said.
    pub result: Value,
}

impl Measurement {
    /// Reads a file; `None` when there is none.
    ///
    /// # Errors
    /// It cannot be read, or is no measurement.
    pub fn read(file: &Path) -> anyhow::Result<Option<Self>> {
        let advice = || {
            let shown = file.display();
            format!("{shown}: not a bench's result; measure it anew by scripts/bench")
        };
        let text = match std::fs::read_to_string(file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.with_context(advice)?,
        };
        serde_json::from_str(&text).map(Some).with_context(advice)
    }

    /// Writes a file, and its folder where that is missing.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, file: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        let folder = file.parent().unwrap_or(Path::new(""));
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(file, text))
            .with_context(|| format!("{} cannot be written", file.display()))
    }
}

/// What of a machine bears on figures; neither its name nor its folders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name, as the system gives it.
    pub cpu: String,
    /// Logical cores that this process may use.
    pub cores: usize,
    /// Memory, MiB.
    pub memory_mib: u64,
    /// Release of the kernel, without what its builder put behind it.
    pub kernel: String,
}

impl Machine {
    /// This one; what the system does not tell is `unknown` or 0.
    #[must_use]
    pub fn here() -> Self {
        let read = |file| std::fs::read_to_string(file).unwrap_or_default();
        let unless_empty = |text: &str| match text.trim() {
            "" => "unknown".to_owned(),
            text => text.to_owned(),
        };
        let cpu = field(&read("/proc/cpuinfo"), "model name").map(unless_empty);
        let memory_kib = field(&read("/proc/meminfo"), "MemTotal")
            .and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
        let kernel = read("/proc/sys/kernel/osrelease");
        Self {
            cpu: cpu.unwrap_or_else(|| format!("unknown, {}", std::env::consts::ARCH)),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_mib: memory_kib.unwrap_or(0) / 1024,
            kernel: unless_empty(kernel.split('-').next().unwrap_or_default()),
        }
    }
}

/// The first `name: value` of a file of /proc.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        (found.trim() == name).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_proc_are_found() {
        let text = "processor\t: 0\nmodel name\t: AMD EPYC\nmodel name\t: other\n";
        assert_eq!(field(text, "model name"), Some("AMD EPYC"));
        assert_eq!(field(text, "MemTotal"), None);
    }

    #[test]
    fn a_measurement_is_read_as_it_was_written() {
        let dir = std::env::temp_dir().join(format!("shiren-measured-{}", std::process::id()));
        let file = dir.join("chain.json");
        assert_eq!(Measurement::read(&file).unwrap(), None);
        let measured = Measurement {
            command: "shiren bench chain --json".into(),
            date: "2026-01-01T00:00:00Z".into(),
            commit: "abc1234".into(),
            profile: "dev".into(),
            machine: Machine::here(),
            load_average_before: [0.5, 1.0, 2.0],
            result: serde_json::json!({ "rounds": 9 }),
        };
        measured.write(&file).unwrap();
        assert_eq!(Measurement::read(&file).unwrap(), Some(measured));
        std::fs::write(&file, "{}").unwrap();
        let error = format!("{:#}", Measurement::read(&file).unwrap_err());
        assert!(
            error.contains("chain.json") && error.contains("scripts/bench"),
            "{error}"
        );
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
