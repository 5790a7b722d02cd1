//! deploy/ against the program and its topology. No image is built and no container started here.

mod rules;
mod units;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;
use shiren_integration_tests::site;
use shiren_topology::{LibraryEngine, LogSettings, SETTINGS, Topology};

/// Where workers tell of themselves, as the images and rules say it.
const TELEMETRY: (&str, &str) = ("telemetry.listen", "0.0.0.0:9464");
const TELEMETRY_PORT: &str = "9464";
const SLOTS: &str = "/var/lib/shiren/slots";

fn text(file: &str) -> String {
    let path = site::root().join("deploy").join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn yaml(file: &str) -> Value {
    serde_saphyr::from_str(&text(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn topology_in(environment: Vec<(String, String)>) -> Topology {
    let stages = shiren::stages::descriptors();
    let parsed = shiren_topology::parse(
        &text("topology.toml"),
        "topology.toml",
        environment,
        &stages,
    );
    parsed.unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn topology() -> Topology {
    topology_in(Vec::new())
}

fn segments() -> BTreeSet<String> {
    topology().segments.into_iter().map(|s| s.name).collect()
}

fn strings(value: &Value) -> Vec<&str> {
    let list = value.as_array().map_or(&[][..], Vec::as_slice);
    list.iter().map(|item| item.as_str().unwrap()).collect()
}

/// `15s`, `2560m`, `2g`, `2560M`: the number with its factor.
fn quantity(text: &str, factors: &[(&str, u64)]) -> u64 {
    let (unit, factor) = factors
        .iter()
        .find(|(unit, _)| text.ends_with(unit))
        .unwrap();
    text.strip_suffix(unit).unwrap().parse::<u64>().unwrap() * factor
}

const MS: &[(&str, u64)] = &[("s", 1000)];
const MIB: &[(&str, u64)] = &[("m", 1), ("M", 1), ("g", 1024), ("G", 1024)];

/// The services that run a stage, by the segment that they name.
fn stage_services(compose: &Value) -> BTreeMap<String, Value> {
    let services = compose["services"].as_object().unwrap();
    let running = services
        .iter()
        .filter(|(_, s)| strings(&s["command"]).first() == Some(&"run"));
    running
        .map(|(name, service)| (name.clone(), service.clone()))
        .collect()
}

#[test]
fn the_topology_is_sound_with_one_stage_a_segment_on_kafka_and_a_library_server() {
    let topology = topology();
    assert!(topology.warnings.is_empty(), "{:#?}", topology.warnings);
    assert!(matches!(topology.log, LogSettings::Kafka(_)));
    assert!(matches!(
        topology.library.engine,
        LibraryEngine::Server { .. }
    ));
    let alone = topology.segments.iter().map(|s| vec![s.name.clone()]);
    let stages = topology.segments.iter().map(|s| s.stages.clone());
    assert!(alone.eq(stages));
    assert!(topology.segments.iter().all(|s| s.workers == 1));
    let output = Command::new(site::program())
        .args(["--topology", "deploy/topology.toml", "validate"])
        .current_dir(site::root())
        .env_remove("SHIREN_TOPOLOGY")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

/// As soon as the topology has the setting, the containers must be reachable by it.
#[test]
fn telemetry_listens_where_containers_and_prometheus_look() {
    let given = text("topology.toml")
        .lines()
        .any(|line| line == format!("listen = {:?}", TELEMETRY.1));
    let known = SETTINGS.iter().any(|setting| setting.path == TELEMETRY.0);
    if !known {
        println!(
            "NOT CHECKED: this program has no setting {} yet",
            TELEMETRY.0
        );
    }
    assert_eq!(
        given, known,
        "deploy/topology.toml and the setting {}",
        TELEMETRY.0
    );
}

#[test]
fn compose_runs_every_stage_once_and_all_replicas_share_the_slots() {
    let compose = yaml("compose.yaml");
    let services = stage_services(&compose);
    let names: BTreeSet<String> = services.keys().cloned().collect();
    assert_eq!(names, segments());
    for (name, service) in &services {
        let command = strings(&service["command"]);
        assert_eq!(command, ["run", "--segment", name, "--slots-dir", SLOTS]);
        let volumes = strings(&service["volumes"]);
        assert!(
            volumes.contains(&"slots:/var/lib/shiren/slots"),
            "{name}: {volumes:?}"
        );
        assert!(
            volumes.contains(&"vault:/var/lib/shiren/vault"),
            "{name}: {volumes:?}"
        );
    }
}

/// Words that the program does not know end with code 2 before `--help` is looked at.
#[test]
fn the_program_knows_every_command_that_is_started() {
    let compose = yaml("compose.yaml");
    let services = compose["services"].as_object().unwrap();
    let mut commands: Vec<Vec<String>> = services
        .values()
        .map(|service| strings(&service["command"]))
        .filter(|command| !command.is_empty())
        .map(|command| command.into_iter().map(str::to_owned).collect())
        .collect();
    let unit = units::unit("systemd/shiren@.service");
    let start = unit["ExecStart"][0].replace("%i", "detect");
    commands.push(start.split(' ').skip(1).map(str::to_owned).collect());
    commands.push(vec!["validate".to_owned()]);
    assert_eq!(commands.len(), segments().len() + 4);
    for command in commands {
        let output = Command::new(site::program())
            .args(&command)
            .arg("--help")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {said}");
    }
}

#[test]
fn containers_of_stages_are_bounded_and_may_do_little() {
    let runtime = topology().runtime;
    for (name, service) in stage_services(&yaml("compose.yaml")) {
        assert_eq!(service["image"], "shiren", "{name}");
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(strings(&service["cap_drop"]), ["ALL"], "{name}");
        assert_eq!(
            strings(&service["security_opt"]),
            ["no-new-privileges:true"],
            "{name}"
        );
        assert_eq!(service["restart"], "unless-stopped", "{name}");
        let grace = quantity(service["stop_grace_period"].as_str().unwrap(), MS);
        assert!(grace > runtime.drain_max_ms, "{name}: {grace} ms");
        let memory = quantity(service["mem_limit"].as_str().unwrap(), MIB);
        assert!(memory > runtime.max_resident_mib, "{name}: {memory} MiB");
        let check = strings(&service["healthcheck"]["test"]).join(" ");
        assert!(
            check.contains(&format!("/dev/tcp/127.0.0.1/{TELEMETRY_PORT}")),
            "{check}"
        );
        assert!(check.contains("GET /readyz "), "{check}");
    }
}

/// The environment of a container reaches the topology, and the program knows every variable.
#[test]
fn the_environment_of_containers_names_services_that_there_are() {
    let compose = yaml("compose.yaml");
    for (name, service) in stage_services(&compose) {
        let environment = service["environment"].as_object().unwrap();
        let pairs = environment
            .iter()
            .map(|(k, v)| (k.clone(), v.as_str().unwrap().to_owned()));
        let topology = topology_in(pairs.collect());
        let LogSettings::Kafka(kafka) = &topology.log else {
            panic!("{name}: not on Kafka");
        };
        let LibraryEngine::Server {
            url: Some(library), ..
        } = &topology.library.engine
        else {
            panic!("{name}: no library server");
        };
        for (address, port) in [
            (kafka.bootstrap_servers.as_str(), ":9092"),
            (library.as_str(), ":6334"),
        ] {
            let host = address
                .trim_start_matches("http://")
                .strip_suffix(port)
                .unwrap();
            assert!(
                compose["services"].get(host).is_some(),
                "{name}: no service {host}"
            );
        }
    }
    let kafka = &compose["services"]["kafka"]["environment"];
    let max_record_bytes = topology().topics.max_record_bytes;
    for setting in ["KAFKA_MESSAGE_MAX_BYTES", "KAFKA_REPLICA_FETCH_MAX_BYTES"] {
        let bytes: usize = kafka[setting].as_str().unwrap().parse().unwrap();
        assert!(bytes >= max_record_bytes, "{setting}");
    }
    assert_eq!(kafka["KAFKA_AUTO_CREATE_TOPICS_ENABLE"], "false");
    assert_eq!(kafka["KAFKA_PROCESS_ROLES"], "broker,controller");
}

#[test]
fn compose_names_nothing_that_it_does_not_declare() {
    let compose = yaml("compose.yaml");
    let declared = |part: &str| -> BTreeSet<&str> {
        compose[part]
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect()
    };
    let services = declared("services");
    for (name, service) in compose["services"].as_object().unwrap() {
        for volume in strings(&service["volumes"]) {
            let source = volume.split(':').next().unwrap();
            assert!(declared("volumes").contains(source), "{name}: {volume}");
        }
        let secrets = service["secrets"].as_array().map_or(&[][..], Vec::as_slice);
        for secret in secrets {
            assert!(
                declared("secrets").contains(secret["source"].as_str().unwrap()),
                "{name}"
            );
        }
        for network in strings(&service["networks"]) {
            assert!(declared("networks").contains(network), "{name}: {network}");
        }
        let waits = service["depends_on"].as_object();
        for (other, _) in waits.into_iter().flatten() {
            assert!(
                services.contains(other.as_str()),
                "{name} waits for {other}"
            );
        }
        let image = service["image"].as_str().unwrap();
        assert!(
            !image.split('/').next().unwrap().contains('.'),
            "{name}: {image} names a host"
        );
    }
}

/// Files that the topology names and that are secret come from compose's secrets, the others lie on volumes.
#[test]
fn what_the_topology_writes_lies_on_volumes_and_keys_are_secrets() {
    let topology = topology();
    let compose = yaml("compose.yaml");
    let verify = &compose["services"]["authority-verify"];
    let secrets = verify["secrets"].as_array().unwrap();
    let targets: Vec<&str> = secrets
        .iter()
        .map(|s| s["target"].as_str().unwrap())
        .collect();
    assert!(
        targets.contains(&topology.vault.kek_file.as_str()),
        "{targets:?}"
    );
    assert!(
        targets.contains(&topology.register.kek_file.as_str()),
        "{targets:?}"
    );
    let volumes = strings(&verify["volumes"]);
    for path in [&topology.vault.dir, &topology.register.file] {
        let mounts = volumes.iter().map(|v| v.split(':').nth(1).unwrap());
        assert!(
            mounts.into_iter().any(|mount| path.starts_with(mount)),
            "{path}: {volumes:?}"
        );
    }
}

/// The page's recovery times are those of the settings, and of the broker's own default.
#[test]
fn the_page_names_the_times_that_the_topology_sets() {
    /// Kafka's `transaction.abort.timed.out.transaction.cleanup.interval.ms`.
    const ABORT_INTERVAL_MS: u32 = 10_000;
    let topology = topology();
    let LogSettings::Kafka(kafka) = &topology.log else {
        panic!("not on Kafka");
    };
    let page = std::fs::read_to_string(site::root().join("docs/operate.md")).unwrap();
    let (session, transaction) = (kafka.session_timeout_ms, kafka.transaction_timeout_ms);
    let all = session + transaction + ABORT_INTERVAL_MS;
    let sum = [session, transaction, ABORT_INTERVAL_MS, all].map(|ms| format!("{} s", ms / 1000));
    let sum = format!("{} + {} + {} = {}", sum[0], sum[1], sum[2], sum[3]);
    assert!(page.contains(&sum), "{sum}");
    let partitions = format!("`topics.partitions` ({})", topology.topics.partitions);
    assert!(page.contains(&partitions), "{partitions}");
    let drain = format!(
        "`runtime.drain_max_ms` ({} s)",
        topology.runtime.drain_max_ms / 1000
    );
    assert!(page.contains(&drain), "{drain}");
}

/// Instructions, continued lines joined, comments left out.
fn dockerfile() -> Vec<(String, String)> {
    let joined = text("Dockerfile").replace("\\\n", " ");
    let lines = joined
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let split = lines.map(|line| line.split_once(' ').unwrap());
    split
        .map(|(name, rest)| (name.to_owned(), rest.trim().to_owned()))
        .collect()
}

#[test]
fn the_image_is_built_in_two_stages_and_runs_as_nobody_special() {
    const KNOWN: &[&str] = &[
        "FROM",
        "WORKDIR",
        "COPY",
        "ENV",
        "RUN",
        "USER",
        "EXPOSE",
        "STOPSIGNAL",
        "ENTRYPOINT",
        "CMD",
    ];
    let instructions = dockerfile();
    let all = |name: &str| -> Vec<&str> {
        let found = instructions.iter().filter(|(known, _)| known == name);
        found.map(|(_, rest)| rest.as_str()).collect()
    };
    assert!(
        instructions
            .iter()
            .all(|(name, _)| KNOWN.contains(&name.as_str()))
    );
    let from = all("FROM");
    let rust = format!("rust:{}-slim-bookworm AS build", rust_version());
    assert_eq!(from, [rust.as_str(), "debian:bookworm-slim"]);
    assert_eq!(all("USER"), ["10001:10001"]);
    assert_eq!(all("EXPOSE"), [TELEMETRY_PORT]);
    assert_eq!(all("ENTRYPOINT"), [r#"["/opt/shiren/bin/shiren"]"#]);
    assert!(all("RUN").contains(&"scripts/setup"));
    assert!(
        all("RUN")
            .iter()
            .any(|run| run.contains("cargo build --release --locked"))
    );
    for copy in all("COPY") {
        let source = copy.split(' ').next().unwrap();
        let built = source == "--from=build";
        assert!(built || site::root().join(source).exists(), "COPY {copy}");
    }
    let environment = all("ENV").join(" ");
    assert!(environment.contains("SHIREN_TOPOLOGY=/opt/shiren/deploy/topology.toml"));
}

fn rust_version() -> String {
    let manifest = std::fs::read_to_string(site::root().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    manifest["workspace"]["package"]["rust-version"]
        .as_str()
        .unwrap()
        .to_owned()
}
