//! deploy/systemd.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use shiren_integration_tests::site;

use super::{MIB, MS, SLOTS, quantity, segments, text, topology};

/// Values of each key of a unit file, sections put together: no key is in two sections here.
pub(super) fn unit(file: &str) -> BTreeMap<String, Vec<String>> {
    let text = text(file);
    let mut keys: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in text
        .lines()
        .filter(|l| !l.is_empty() && !l.starts_with(['#', '[']))
    {
        let (key, value) = line
            .split_once('=')
            .unwrap_or_else(|| panic!("{file}: {line}"));
        keys.entry(key.to_owned())
            .or_default()
            .push(value.to_owned());
    }
    keys
}

#[test]
fn the_units_start_every_segment_and_outlast_its_drain() {
    let target = unit("systemd/shiren.target");
    let wanted: BTreeSet<String> = target["Wants"]
        .iter()
        .flat_map(|l| l.split(' '))
        .map(str::to_owned)
        .collect();
    let every = segments()
        .iter()
        .map(|name| format!("shiren@{name}.service"))
        .collect();
    assert_eq!(wanted, every);
    let service = unit("systemd/shiren@.service");
    let one = |key: &str| service[key].first().unwrap().as_str();
    assert_eq!(
        one("ExecStart"),
        format!("/opt/shiren/bin/shiren run --segment %i --slots-dir {SLOTS}")
    );
    let runtime = topology().runtime;
    assert!(quantity(one("TimeoutStopSec"), MS) > runtime.drain_max_ms);
    assert!(quantity(one("MemoryMax"), MIB) > runtime.max_resident_mib);
    let exact = [
        ("User", "shiren"),
        ("Restart", "on-failure"),
        ("KillSignal", "SIGTERM"),
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
        ("CapabilityBoundingSet", ""),
    ];
    for (key, value) in exact {
        assert_eq!(one(key), value, "{key}");
    }
    let state: Vec<&str> = one("StateDirectory").split(' ').collect();
    assert_eq!(
        state,
        ["shiren", "shiren/vault", "shiren/register", "shiren/slots"]
    );
}

/// By systemd itself where it is there, with a program that exists in the place of the installed one.
#[test]
fn systemd_finds_no_fault_in_the_units() {
    let folder = tempfile::tempdir().unwrap();
    let program = site::program();
    for file in ["shiren@.service", "shiren.target"] {
        let unit = text(&format!("systemd/{file}"));
        let unit = unit.replace("/opt/shiren/bin/shiren", program.to_str().unwrap());
        std::fs::write(folder.path().join(file), unit).unwrap();
    }
    let verify = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(folder.path().join("shiren@detect.service"))
        .env("SYSTEMD_UNIT_PATH", format!("{}:", folder.path().display()))
        .output();
    let Ok(output) = verify else {
        println!("NOT CHECKED: there is no systemd-analyze here");
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    let about_us: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("shiren"))
        .collect();
    assert!(output.status.success() && about_us.is_empty(), "{said}");
}
