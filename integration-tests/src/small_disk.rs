//! A small disk of a test's own, which can be filled: a file system in memory that only those see who are started in its
//! mount namespace. It needs no rights but to make a user namespace.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// Mounts it and keeps it until the test's end of the pipe closes.
const HOLDER: &str = r#"mount -t tmpfs -o "size=$1m" shiren-test "$2" && echo mounted && exec cat"#;
/// Takes what becomes free again, for as long as there is ballast: Kafka deletes old segments a minute after it has given
/// them up, and a broker that finds a page for its checkpoints lives on.
const KEEPER: &str = r#"
while [ -e "$1" ]; do
    dd if=/dev/zero of="$1" bs=4k oflag=append conv=notrunc,nocreat 2>/dev/null
    sleep 0.05
done
"#;
/// What `cat` says when nothing more fits.
const FULL: &str = "No space left on device";

/// A disk while it is mounted.
pub struct SmallDisk {
    holder: Child,
    /// While it is full.
    keeper: Option<Child>,
    folder: PathBuf,
}

impl SmallDisk {
    /// Mounts a disk of so many MiB on a folder that is there.
    ///
    /// # Panics
    /// When this machine does not let it be mounted; the message says what to do.
    #[must_use]
    pub fn mount(folder: &Path, mib: u32) -> Self {
        let mut holder = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", HOLDER])
            .arg("sh")
            .arg(mib.to_string())
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("unshare starts: it is in the package util-linux");
        let mut said = String::new();
        let stdout = holder.stdout.take().expect("piped");
        let read = BufReader::new(stdout).read_line(&mut said);
        if read.is_err() || said != "mounted\n" {
            let mut why = String::new();
            let stderr = holder.stderr.take().expect("piped");
            // Said as far as it can be read.
            let _ = BufReader::new(stderr).read_to_string(&mut why);
            panic!(
                "no small disk can be mounted here: {why}The test needs `unshare --user --map-root-user --mount`: allow user \
                 namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone=1) and mounts in them"
            );
        }
        Self {
            holder,
            keeper: None,
            folder: folder.to_owned(),
        }
    }

    /// What a command begins with that is to see it.
    #[must_use]
    pub fn entry(&self) -> Vec<String> {
        let holder = self.holder.id().to_string();
        let options = ["--user", "--mount", "--preserve-credentials"];
        let mut entry = vec!["nsenter".to_owned(), "--target".to_owned(), holder];
        entry.extend(options.map(str::to_owned));
        entry
    }

    fn ballast(&self) -> PathBuf {
        self.folder.join("ballast")
    }

    fn shell(&self, script: &str) -> Command {
        let entry = self.entry();
        let mut command = Command::new(&entry[0]);
        command.args(&entry[1..]).args(["sh", "-c", script, "sh"]);
        command.arg(self.ballast());
        command
    }

    fn run(&self, script: &str) -> Output {
        let output = self.shell(script).output();
        output.expect("nsenter starts: it is in the package util-linux")
    }

    /// Writes ballast until nothing more fits, and keeps it so; its size, MiB.
    ///
    /// # Panics
    /// When it does not become full.
    #[must_use]
    pub fn fill(&mut self) -> u64 {
        let filled = self.run(r#"cat /dev/zero >"$1""#);
        let why = String::from_utf8_lossy(&filled.stderr).into_owned();
        assert!(!filled.status.success() && why.contains(FULL), "{why}");
        self.keeper = Some(self.shell(KEEPER).spawn().expect("as before"));
        let size = self.run(r#"wc -c <"$1""#);
        let size = String::from_utf8_lossy(&size.stdout).trim().parse::<u64>();
        size.expect("a size") / (1024 * 1024)
    }

    /// Removes the ballast.
    ///
    /// # Panics
    /// When there is none.
    pub fn clear(&mut self) {
        let cleared = self.run(r#"rm "$1""#);
        assert!(cleared.status.success(), "{cleared:?}");
        let mut keeper = self.keeper.take().expect("it was full");
        // It ends without its ballast, and what it wrote last is free then.
        assert!(keeper.wait().expect("its end").success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            let _ = keeper.kill();
            let _ = keeper.wait();
        }
        // The end of its input ends it, and its namespace with it.
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}
