#!/usr/bin/env python3
"""Writes every pair of the labelled portraits as a CSV `path_a,path_b,same`, and whose they are as `person,picture`.

usage: pairs.py OUT_FOLDER [--home CACHE_FOLDER]

The paths are relative to the CSVs, OUT_FOLDER/pairs.csv and OUT_FOLDER/persons.csv; the pictures stay in the cache folder.
`same` is 1 for two pictures of one person and 0 otherwise. Pictures that are not there are an error.
"""

import argparse
import csv
import itertools
import os
import sys
from pathlib import Path

try:
    import tomllib
except ImportError:  # Python 3.10
    try:
        import tomli as tomllib
    except ImportError:
        from pip._vendor import tomli as tomllib

REPOSITORY = Path(__file__).resolve().parents[2]


def portraits():
    """(name, identity) of each portrait of a named person, by name."""
    listing = tomllib.loads(
        (REPOSITORY / "integration-tests" / "pictures.toml").read_text(encoding="utf-8")
    )
    return sorted(
        (picture["name"], picture["identity"])
        for picture in listing["picture"]
        if picture["kind"] == "portrait" and picture["identity"]
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    home = os.environ.get("SHIREN_HOME") or REPOSITORY / ".shiren"
    parser.add_argument("--home", type=Path, default=Path(home))
    chosen = parser.parse_args()

    pictures = chosen.home.resolve() / "pictures"
    people = portraits()
    missing = [name for name, _ in people if not (pictures / name).is_file()]
    if missing:
        sys.exit(
            f"pairs: {len(missing)} pictures are missing in {pictures}, the first is {missing[0]}; "
            "run `models/fetch.py --only pictures --pictures all`"
        )
    chosen.folder.mkdir(parents=True, exist_ok=True)
    base = os.path.relpath(pictures, chosen.folder.resolve())
    pairs = list(itertools.combinations(people, 2))
    with open(chosen.folder / "pairs.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["path_a", "path_b", "same"])
        for (name_a, person_a), (name_b, person_b) in pairs:
            same = int(person_a == person_b)
            writer.writerow([os.path.join(base, name_a), os.path.join(base, name_b), same])
    with open(chosen.folder / "persons.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["person", "picture"])
        writer.writerows([person, os.path.join(base, name)] for name, person in people)
    genuine = sum(a[1] == b[1] for a, b in pairs)
    print(
        f"{len(pairs)} pairs of {len(people)} portraits of {len({p for _, p in people})} people: "
        f"{genuine} genuine, {len(pairs) - genuine} impostor"
    )


if __name__ == "__main__":
    main()
