#!/usr/bin/env python3
"""Both verifiers over the same copies: they have to agree on every one.

    agree.py --urbanmine PATH --demo DIR [--seed N] [--flips N] [--only NAME] [--keep DIR]

DIR is what `urbanmine demo --exit --dir DIR` left.

Exits 1 with a line for each disagreement, which says how to have it again.
"""

import argparse
import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import journal
import ledger
import strict
import verify
import world
from canonical import Walk, load_schema
from tamper import Case, cases
from tiles import read_files, write_files
from verify import EXIT_CODES, Pins, verify_export, verify_journal, verify_receipt
from world import load_world

# What the rules say (section 15, step 8), which this side does not execute.
RULES = {"rule-broken", "links-wrong"}


class OnceWalk(Walk):
    """Copies share nearly all payloads; the walk of one is a pure function of its bytes."""

    @functools.lru_cache(maxsize=8192)
    def read(self, word: str, data: bytes) -> dict:
        return super().read(word, data)


def remember() -> None:
    """Copies differ in little: what is a pure function of its bytes is computed once."""
    for module, name in ((strict, "holds"), (ledger, "parse_entry"), (ledger, "chain_value"),
                         (ledger, "leaf_hash"), (verify, "leaf_hash"), (world, "leaf_hash"),
                         (world, "chain_value"), (journal, "crc32c")):
        setattr(module, name, functools.lru_cache(maxsize=1 << 15)(getattr(module, name)))


def theirs(case: Case, folder: Path, walk: Walk) -> dict:
    pins = Pins(case.origin, case.ledger_key)
    if case.form == "export":
        return verify_export(folder, pins, walk).as_json()
    if case.form == "receipt":
        return verify_receipt((folder / "receipt").read_bytes(), [], pins, walk).as_json()
    return verify_journal(folder / "data", folder / "guard", pins, walk).as_json()


def ours(case: Case, folder: Path, binary: Path) -> dict:
    what = {"export": ["--export", folder], "receipt": ["--receipt", folder / "receipt"],
            "journal": ["--data", folder / "data", "--guard", folder / "guard"]}[case.form]
    run = subprocess.run([binary, "verify", *what, "--origin", case.origin, "--ledger-key",
                          case.ledger_key.hex(), "--json"], capture_output=True, timeout=120)
    try:
        report = json.loads(run.stdout)
    except ValueError:
        # What cannot be opened at all has no report: the exit code is the verdict.
        report = {"verdict": None, "first_bad": None, "findings": []}
        report["detail"] = run.stderr.decode(errors="replace").strip()[-300:]
    by_code = {code: verdict for verdict, code in EXIT_CODES.items()}.get(run.returncode)
    if report["verdict"] not in (by_code, None):
        return {"verdict": f"{report['verdict']}, but exit code {run.returncode}",
                "first_bad": None, "findings": []}
    report["verdict"] = by_code or f"exit code {run.returncode}"
    return report


def disagreement(case: Case, foreign: dict, own: dict) -> str | None:
    """What is wrong with a pair of reports; None when nothing is."""
    if foreign["verdict"] not in case.verdicts:
        return f"this verifier says {foreign['verdict']}, right is {' or '.join(case.verdicts)}"
    bad = [found for found in own["findings"] if found["kind"] in RULES]
    only_rules = bad and own["verdict"] == "tampered" and case.rules_may_refuse
    if only_rules and foreign["verdict"] in ("verified", "tampered", "undetermined"):
        later = foreign["first_bad"] is None or own["first_bad"] <= foreign["first_bad"]
        return None if later else "the rules refuse later than this verifier"
    if own["verdict"] != foreign["verdict"]:
        return "the verdicts differ"
    pair = foreign["first_bad"], own["first_bad"]
    if None not in pair and pair[0] != pair[1]:
        return "the first bad index differs"
    return None


def is_said_twice(case: Case) -> bool:
    """A journal holds the entries of an export. Only of rotations does it say more."""
    return case.name.startswith("journal/forged-") and "rotation" not in case.name


def brief(report: dict) -> str:
    kinds = Counter((found["index"], found["kind"]) for found in report["findings"])
    shown = ", ".join(f"{kind}@{index}" for (index, kind), _ in list(kinds.items())[:4])
    return f"{report['verdict']} at {report['first_bad']} ({shown}{report.get('detail', '')})"


def judge_one(case: Case, options, walk: Walk) -> str | None:
    with tempfile.TemporaryDirectory(dir=options.scratch) as name:
        folder = Path(name)
        write_files(folder, case.files())
        own = ours(case, folder, options.urbanmine)
        try:
            foreign = theirs(case, folder, walk)
        except Exception as error:  # A crash on hostile bytes is a finding, not the end of the run.
            foreign = {"verdict": f"crash: {error!r}", "first_bad": None, "findings": []}
        wrong = disagreement(case, foreign, own)
        if options.show or wrong:
            text = f"{case.name}: {wrong or 'agreed'}\n    python: {brief(foreign)}\n" \
                   f"    rust:   {brief(own)}"
            print(text, flush=True)
        if wrong and options.keep:
            write_files(options.keep / case.name, read_files(folder))
        return wrong


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--urbanmine", type=Path, required=True, help="the binary")
    parser.add_argument("--demo", type=Path, required=True, help="the directory of a demo")
    parser.add_argument("--export", type=Path, help="what `urbanmine export` made of it: compared")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--flips", type=int, default=6, help="of each file; bundles three times it")
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    parser.add_argument("--forms", default="export,journal,receipt")
    parser.add_argument("--keep", type=Path, help="where copies that are disagreed on are kept")
    parser.add_argument("--thorough", action="store_true",
                        help="every forged copy as a journal too, where it says the same twice")
    parser.add_argument("--show", action="store_true", help="a line for every copy")
    options = parser.parse_args()
    options.scratch = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    return options


def main() -> int:
    options, begin = arguments(), time.monotonic()
    passphrase = os.environ.get("URBANMINE_PASSPHRASE", "urbanmine demo").encode()
    remember()
    walk = OnceWalk(load_schema())
    start = load_world(options.demo, passphrase, walk)
    if options.export and read_files(options.export) != start.copy.export_files():
        print("agree: `urbanmine export` writes other files than the page says")
        return 1
    forms = options.forms.split(",")
    chosen = [case for case in cases(start, options.seed, options.flips)
              if options.only in case.name and case.form in forms
              and (options.thorough or not is_said_twice(case))]
    print(f"agree: {len(chosen)} copies of {len(start.entries)} entries, seed {options.seed}")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda case: judge_one(case, options, walk), chosen))
    wrong = [case.name for case, result in zip(chosen, results) if result is not None]
    verb = "agree" if not wrong else f"disagree on {len(wrong)} of"
    print(f"agree: both {verb} {len(chosen)} copies in {time.monotonic() - begin:.0f} s")
    for name in wrong:
        print(f"again: {Path(__file__).name} .. --seed {options.seed} --flips {options.flips} "
              f"--only {name}")
    return 1 if wrong or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
