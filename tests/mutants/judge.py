"""Which faults survived that nobody has accepted, and which accepted ones are stale.

    judge.py ACCEPTED LIST OUTCOMES...

ACCEPTED holds one fault a line, as cargo-mutants names it but without line and column,
and below it, indented, why it may survive. A fault that survives at several places of a
function is listed as often. LIST is every fault there is (`cargo mutants --list --json`),
OUTCOMES what came of those that were tried (`outcomes.json`).
"""

import collections
import json
import re
import sys


class Malformed(Exception):
    pass


def without_place(name):
    """`src/a.rs:7:9: replace …` -> `src/a.rs: replace …`"""
    return re.sub(r":\d+:\d+: ", ": ", name, count=1)


def read_accepted(text):
    """How often each fault may survive."""
    accepted = collections.Counter()
    waiting = []  # faults that have no reason yet
    told = False
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if line[0].isspace():
            if not waiting:
                raise Malformed(f"line {number}: a reason without a fault")
            told = True
            continue
        if told:
            waiting, told = [], False
        waiting.append(line.strip())
        accepted[line.strip()] += 1
    if waiting and not told:
        raise Malformed(f"no reason is given for {waiting[-1]}")
    return accepted


def judge(accepted, listed, outcomes):
    """Everything that is wrong, in words."""
    tried, survived = collections.Counter(), collections.Counter()
    for outcome in outcomes:
        if outcome["scenario"] == "Baseline":
            if outcome["summary"] != "Success":
                yield "the tests fail without any fault"
            continue
        name = without_place(outcome["scenario"]["Mutant"]["name"])
        tried[name] += 1
        survived[name] += outcome["summary"] == "MissedMutant"
    there = collections.Counter(without_place(mutant["name"]) for mutant in listed)
    for name in sorted(survived):
        if survived[name] > accepted[name]:
            yield f"survives, and nobody has accepted that: {name}"
    for name, times in sorted(accepted.items()):
        if there[name] < times:
            yield f"accepted, and there is no such fault: {name}"
        elif tried[name] >= there[name] and survived[name] < times:
            # Only where all of that name were tried: another shard may have the others.
            yield f"accepted, and noticed by a test now: {name}"


def main(accepted, listed, *outcomes):
    with open(accepted) as file:
        accepted = read_accepted(file.read())
    with open(listed) as file:
        listed = json.load(file)
    tried = []
    for path in outcomes:
        with open(path) as file:
            tried.extend(json.load(file)["outcomes"])
    wrong = list(judge(accepted, listed, tried))
    counts = collections.Counter(
        outcome["summary"] for outcome in tried if outcome["scenario"] != "Baseline"
    )
    print(", ".join(f"{count} {summary}" for summary, count in sorted(counts.items())))
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except (Malformed, TypeError) as error:
        sys.exit(f"{error}\n{__doc__}" if isinstance(error, TypeError) else str(error))
