#!/usr/bin/env python3
"""Fits a fusion table of liveness on the values that `shiren bench pad --values` wrote for the fitting split.

usage: fit.py VALUES.csv OUT.toml --name NAME [--net NAME ...] [--cue NAME ...] [--people N] [--date 2026-11]

Logistic regression with a little ridge. Every species of attack weighs the same; half of the weight of the bona fide
side is on pictures without a shift, half on the benign shifts, each the same. A net may only raise the score with its
odds, a cue only lower it: what would have the other sign is left out, and said so. The operating point is chosen on these
values too: `reject_below` so that of no condition more than --bpcer of the bona fide pictures are rejected,
`accept_from` as high as it can be while --kept of all answers stay the same when the box moves (`bench pad --jitter`) and
at least --accepted of the pictures without a shift are accepted. Never run it on the judging split.
"""

import argparse
import csv
import sys
from collections import Counter
from pathlib import Path

import numpy

RIDGE = 0.02
# Values beyond these quantiles are taken as at them.
QUANTILES = (0.005, 0.995)
STEPS = 60


def weights(rows):
    """Each picture's share: one half to attacks, one quarter to clean pictures, one to shifts."""
    kinds = Counter((row["label"], row["species"]) for row in rows)
    species = sum(label == "attack" for label, _ in kinds)
    shifts = len(kinds) - species - 1
    share = {}
    for (label, kind), count in kinds.items():
        part = 0.5 / species if label == "attack" else 0.25 if kind == "clean" else 0.25 / shifts
        share[label, kind] = part / count
    return numpy.array([share[row["label"], row["species"]] for row in rows])


def logistic(values, live, weight):
    """Intercept and coefficients of standardised values, by Newton's method."""
    x = numpy.hstack([numpy.ones((len(values), 1)), values])
    ridge = numpy.diag([0.0] + [RIDGE] * values.shape[1])
    b = numpy.zeros(x.shape[1])
    for _ in range(STEPS):
        p = 1 / (1 + numpy.exp(-x @ b))
        gradient = x.T @ (weight * (live - p)) - ridge @ b
        hessian = (x * (weight * p * (1 - p))[:, None]).T @ x + ridge
        b = b + numpy.linalg.solve(hessian, gradient)
    return b


def fit(values, names, live, weight):
    """(intercept, {name: (coefficient, low, high)}) in the values' own units; names with the wrong sign left out."""
    names = list(names)
    while True:
        ranges = {name: numpy.quantile(values[name], QUANTILES) for name in names}
        x = numpy.stack([numpy.clip(values[name], *ranges[name]) for name in names], axis=1)
        mean, spread = x.mean(axis=0), x.std(axis=0)
        b = logistic((x - mean) / spread, live, weight)
        wrong = [n for n, c in zip(names, b[1:]) if (c <= 0 if n.startswith("net:") else c >= 0)]
        if not wrong:
            own = b[1:] / spread
            return b[0] - own @ mean, {n: (c, *ranges[n]) for n, c in zip(names, own)}
        print(f"left out, for its sign: {', '.join(wrong)}")
        names = [name for name in names if name not in wrong]


def scores(rows, intercept, found):
    total = numpy.full(len(rows), intercept)
    for name, (weight, low, high) in found.items():
        total += weight * numpy.clip([float(row[name]) for row in rows], low, high)
    return 1 / (1 + numpy.exp(-total))


def operating_point(clean, reject, before, after, options):
    """(accept_from, share of clean pictures above it)."""
    best = None
    for accepted in numpy.arange(options.accepted, 1.0001, 0.01):
        accept = max(numpy.quantile(clean, max(1 - accepted, 0), method="lower"), reject)
        answers = [numpy.digitize(own, [reject, accept]) for own in (before, after)]
        kept = (answers[0] == answers[1]).mean() if len(before) else 1.0
        if best is None or kept > best[0]:
            best = kept, accept, accepted
        if kept >= options.kept:
            break
    print(f"answers kept when the box moves: {best[0]:.3f} of {len(before)}")
    return best[1], best[2]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("values", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--net", action="append", default=[], help="name of a net in the values")
    parser.add_argument("--cue", action="append", default=[], help="name of a cue in the values")
    parser.add_argument("--people", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1, help="the generator's, for the record")
    parser.add_argument("--bpcer", type=float, default=0.02)
    parser.add_argument("--accepted", type=float, default=0.80)
    parser.add_argument("--kept", type=float, default=0.98)
    parser.add_argument("--date", default="2026-11")
    options = parser.parse_args()
    with open(options.values, newline="", encoding="utf-8") as file:
        every = list(csv.DictReader(file))
    columns = [c for c in every[0] if c in options.cue or c.split(":")[1:2] and c.split(":")[1] in options.net]
    every = [row for row in every if all(row[c] for c in columns)]
    rows = [row for row in every if row["moved"] == "0"]
    moved = {row["path"]: row for row in every if row["moved"] == "1"}
    values = {c: numpy.array([float(row[c]) for row in rows]) for c in columns}
    live = numpy.array([row["label"] == "bona_fide" for row in rows], float)
    intercept, found = fit(values, columns, live, weights(rows))
    score = scores(rows, intercept, found)
    pairs = [(row["path"] in moved, own) for row, own in zip(rows, score)]
    before = numpy.array([own for is_moved, own in pairs if is_moved])
    after = scores([moved[row["path"]] for row in rows if row["path"] in moved], intercept, found)
    conditions = sorted({row["species"] for row in rows if row["label"] == "bona_fide"})
    of = {kind: score[[row["species"] == kind for row in rows]] for kind in conditions}
    reject = min(numpy.quantile(own, options.bpcer, method="lower") for own in of.values())
    accept, accepted = operating_point(of["clean"], reject, before, after, options)
    lines = [
        "# How nets and cues are joined into one score of liveness. Data, not settings: made by integration-tests/pad/fit.py",
        "# on simulated attacks; docs/liveness.md has what it was measured to do and to miss.",
        "version = 1",
        f'name = "{options.name}"',
        f"intercept = {intercept:.4f}",
        f"reject_below = {reject:.4f}",
        f"accept_from = {accept:.4f}",
    ]
    for column, (weight, low, high) in found.items():
        kind, *net = column.split(":")
        lines += ["", "[[net]]" if net else "[[cue]]", f'name = "{net[0] if net else column}"']
        lines += [f'sha256 = "{net[1]}"'] if net else []
        lines += [f"weight = {weight:.4f}", f"range = [{low:.3f}, {high:.3f}]"]
    lines += [
        "",
        "[sample]",
        "simulated = true",
        f"bona_fide = {int(live.sum())}",
        f"attacks = {int((1 - live).sum())}",
        f"people = {options.people}",
        f'conditions = "Registry pictures by integration-tests/pad/generate.py --split fit --seed {options.seed}, {options.date}. '
        f"Of no condition more than {options.bpcer:.0%} of the bona fide pictures lie below reject_below; "
        f'{accepted:.0%} of those without a shift lie above accept_from."',
        "",
    ]
    options.out.write_text("\n".join(lines), encoding="utf-8")
    print("\n".join(lines))
    for kind in sorted({row["species"] for row in rows}):
        own = score[[row["species"] == kind for row in rows]]
        passed, failed = (own >= accept).mean(), (own < reject).mean()
        print(f"{kind:16} n {len(own):4}  passed {passed:.2f}  abstained {1 - passed - failed:.2f}  failed {failed:.2f}")


if __name__ == "__main__":
    sys.exit(main())
