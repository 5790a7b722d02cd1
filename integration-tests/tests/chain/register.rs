//! `shiren register`, as an operator meets it. SPECIMEN persons; 110199 was never issued.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;
use shiren_idcard::check_digit;
use shiren_integration_tests::{processes, site};
use tempfile::TempDir;

struct Operator {
    folder: TempDir,
}

impl Operator {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let _site = site::embedded(folder.path(), &[]);
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn shiren(&self, arguments: &[&str]) -> Command {
        let mut command = processes::on_embedded(&self.path("topology.toml"));
        command.arg("register").args(arguments);
        command
    }

    /// Exit status, and what it said on either stream.
    fn run(&self, arguments: &[&str], input: &str) -> (i32, String) {
        let mut child = self
            .shiren(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (
            output.status.code().unwrap(),
            String::from_utf8(said).unwrap(),
        )
    }

    fn import(&self, table: &str) -> (i32, String) {
        std::fs::write(self.path("persons.csv"), table).unwrap();
        let table = self.path("persons.csv").display().to_string();
        let portraits = site::home().join("pictures").display().to_string();
        self.run(&["import", &table, "--portraits", &portraits, "--json"], "")
    }

    fn show(&self) -> Value {
        let (status, said) = self.run(&["show", "--json"], "");
        assert_eq!(status, 0, "{said}");
        serde_json::from_str(&said).unwrap()
    }
}

fn number(body: &str) -> String {
    let check = check_digit(body.as_bytes().try_into().unwrap()).unwrap();
    format!("{body}{}", char::from(check))
}

fn report(said: &str) -> Value {
    serde_json::from_str(said).unwrap_or_else(|_| panic!("{said}"))
}

#[test]
fn persons_are_imported_counted_and_forgotten() {
    let operator = Operator::new();
    let (status, said) = operator.run(&["init"], "");
    assert_eq!(status, 0, "{said}");
    let (one, two) = (number("11019919900307123"), number("11019919900307121"));
    let table = format!("name,number,portrait\n样本一,{one},obama.jpg\n样本二,{two},\n");
    let (status, said) = operator.import(&table);
    assert_eq!(status, 0, "{said}");
    assert_eq!(
        (&report(&said)["rows"], &report(&said)["added"]),
        (&2.into(), &2.into())
    );
    let shown = operator.show();
    assert_eq!(
        (&shown["persons"], &shown["portraits"]),
        (&2.into(), &1.into())
    );
    assert_eq!(shown["templates"][0]["persons"], 1);
    assert_eq!(shown["templates"][0]["in_use"], true);
    // The same table again changes nothing, not even the file.
    let before = std::fs::read(operator.path("register")).unwrap();
    let (_, said) = operator.import(&table);
    assert_eq!(report(&said)["unchanged"], 2);
    assert_eq!(std::fs::read(operator.path("register")).unwrap(), before);
    let (status, said) = operator.run(&["remove"], &format!("{two}\n"));
    assert_eq!(status, 0, "{said}");
    assert!(!said.contains(&two), "{said}");
    assert_eq!(operator.show()["persons"], 1);
    let (status, said) = operator.run(&["remove"], &format!("{two}\n"));
    assert_eq!(status, 1, "{said}");
}

#[test]
fn refused_rows_are_named_by_line_and_show_nobody() {
    let operator = Operator::new();
    operator.run(&["init"], "");
    let good = number("11019919900307123");
    let mut wrong = good.clone();
    wrong.replace_range(16..17, if &good[16..17] == "3" { "4" } else { "3" });
    let faceless = number("11019919900307121");
    let table = format!(
        "name,number,portrait\n样本一,{good},\n样本二,{wrong},\n样本三,{faceless},missing.jpg\n"
    );
    let (status, said) = operator.import(&table);
    assert_eq!(status, 3, "{said}");
    let report = report(&said);
    let refused: Vec<_> = report["refused"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["line"].as_u64().unwrap(), row["code"].as_str().unwrap()))
        .collect();
    assert_eq!(
        refused,
        [(3, "number_check_digit_wrong"), (4, "portrait_missing")]
    );
    assert_eq!(report["added"], 1);
    for secret in [&good, &wrong, &faceless, "样本一", "样本二", "样本三"] {
        assert!(!said.contains(secret), "{secret} in {said}");
    }
}

#[test]
fn without_its_key_nothing_is_read() {
    let operator = Operator::new();
    operator.run(&["init"], "");
    let digits = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    let mut other = operator.shiren(&["show"]);
    let output = other.env("SHIREN_REGISTER_KEK", digits).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("register_unreadable"), "{said}");
    let (status, said) = operator.run(&["init"], "");
    assert_eq!(status, 1);
    assert!(said.contains("register_exists"), "{said}");
}

#[test]
fn a_table_of_another_encoding_is_refused_whole() {
    let operator = Operator::new();
    operator.run(&["init"], "");
    // 样本一 in GB18030.
    let mut table = b"name,number\n".to_vec();
    table.extend([0xd1, 0xf9, 0xb1, 0xbe, 0xd2, 0xbb]);
    table.extend(format!(",{}\n", number("11019919900307123")).into_bytes());
    std::fs::write(operator.path("gb.csv"), table).unwrap();
    let path = operator.path("gb.csv").display().to_string();
    let (status, said) = operator.run(&["import", &path], "");
    assert_eq!(status, 1, "{said}");
    assert!(
        said.contains("import_not_utf8") && said.contains("line 2"),
        "{said}"
    );
    assert_eq!(operator.show()["persons"], 0);
}
