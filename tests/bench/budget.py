"""What a request may cost: the baseline, and the judgement over what was counted."""

import json
import re
import statistics
from collections import Counter
from dataclasses import dataclass, field

# What the instructions of a scenario may be of those in the baseline, and below which
# part the baseline is out of date.
MOST, LEAST = 1.03, 0.97
# Calls are whole: what is more than this is one more in most requests, and no noise.
MORE_CALLS = 0.5
# The baseline names a function that costs as much in some scenario.
WORTH_NAMING = {"instructions": 20, "allocations": 0.05, "cryptography": 0.05}
DIGITS = {"instructions": 0, "allocations": 1, "cryptography": 1}
NAMES = {"instructions": "instructions", "allocations": "allocations", "cryptography": "calls of cryptography"}
OTHERS = "(others)"
NAMED = 10

ALLOCATION = re.compile(r"(mi_)?(m|z|c|re)alloc(_aligned)?|posix_memalign|aligned_alloc|memalign")
CRYPTOGRAPHY = re.compile(r"aws_lc_\d+_\d+_\d+_(\w+)")
# The thread that writes the log looks for lines every few milliseconds and writes what it
# finds at once: how often that is during a request is a matter of pace.
PACE = re.compile(r"<?std::(thread::functions::park_timeout$|io::stdio::)")
COPYING = re.compile(r"_*(mem(?:cpy|move|set|cmp|chr|rchr)|bcmp|strlen)(?:_|$)")


class Unusable(Exception):
    """There is nothing to judge, or nothing to judge by."""


@dataclass
class Cost:
    """Of one request, by function."""

    instructions: Counter = field(default_factory=Counter)
    # By the function that asks the allocator.
    allocations: Counter = field(default_factory=Counter)
    # Calls of each function of aws-lc.
    cryptography: Counter = field(default_factory=Counter)

    def total(self, kind):
        return sum(getattr(self, kind).values())


KINDS = tuple(WORTH_NAMING)


def is_rust(name):
    return "::" in name


def charged(name):
    """The name under which the instructions of a function count; None if they do not.

    What counts is Rust, and the copying and comparing that the compiler puts into it.
    The rest is what the machine makes of the same source: aws-lc takes other instructions
    on each kind of processor; it and mimalloc are built by the C compiler that is there,
    and mimalloc looks for room as its heap happens to lie. That they are called counts.
    """
    if is_rust(name):
        return None if PACE.match(name) else name
    copying = COPYING.match(name)
    return copying and copying[1]


def cost(few, many, requests):
    """Of one request: `many` has so many more of them than `few`, and the rest is alike."""
    of = Cost()
    for name in many.own:
        if charged(name):
            of.instructions[charged(name)] += (many.own[name] - few.own[name]) / requests
    for caller, callee in many.calls:
        if is_rust(caller):
            times = (many.calls[caller, callee] - few.calls[caller, callee]) / requests
            if ALLOCATION.fullmatch(callee):
                of.allocations[caller] += times
            elif found := CRYPTOGRAPHY.fullmatch(callee):
                of.cryptography[found[1]] += times
    # Each request has some of each; otherwise the names are no longer what they were.
    for kind in KINDS:
        if of.total(kind) < 1:
            raise Unusable(f"no {kind} were found in what callgrind counted")
    return of


def median(rounds):
    """Each function's median: what comes now and then, such as a save of the store, is not in it."""
    of = Cost()
    for kind in KINDS:
        each = [getattr(one, kind) for one in rounds]
        for name in set().union(*each):
            getattr(of, kind)[name] = statistics.median(one[name] for one in each)
    return of


@dataclass(frozen=True)
class Finding:
    scenario: str
    kind: str
    now: float
    then: float

    @property
    def is_over(self):
        if self.kind == "instructions":
            return self.now > MOST * self.then
        return self.now > self.then + MORE_CALLS

    @property
    def is_under(self):
        if self.kind == "instructions":
            return self.now < LEAST * self.then
        return self.now < self.then - MORE_CALLS

    def __str__(self):
        then, now = (shown(self.kind, figure) for figure in (self.then, self.now))
        change = f", {self.now / self.then - 1:+.1%}" if self.then else ""
        return f"{self.scenario}: {then} -> {now} {NAMES[self.kind]}{change}"


def shown(kind, figure):
    return f"{figure:,.{DIGITS[kind]}f}"


def findings(now, then):
    if now.keys() != then.keys():
        raise Unusable("the baseline is of other scenarios: tests/bench/instructions --update")
    for scenario, cost in now.items():
        for kind in KINDS:
            yield Finding(scenario, kind, cost.total(kind), then[scenario].total(kind))


def grown(now, then, kind="instructions"):
    """The functions whose cost grew most, a line each."""
    now, then = getattr(now, kind), getattr(then, kind)
    names = [name for name in now if name != OTHERS and now[name] - then[name] >= WORTH_NAMING[kind]]
    names.sort(key=lambda name: then[name] - now[name])
    for name in names[:NAMED]:
        more = f"+{shown(kind, now[name] - then[name])}"
        yield f"{more:>10}  {name} (was {shown(kind, then[name])})"


def judge(now, then):
    """Whether nothing costs more than it may, and lines that say what does, and why."""
    lines, is_good = [], True
    for finding in findings(now, then):
        if finding.is_over:
            is_good = False
            lines.append(f"TOO MUCH  {finding}")
            lines.extend(grown(now[finding.scenario], then[finding.scenario], finding.kind))
        elif finding.is_under:
            lines.append(f"cheaper   {finding}. Commit the new baseline: tests/bench/instructions --update")
    return is_good, lines


def render(costs, facts):
    """The baseline as text: one function a line, with a column for each scenario."""
    totals = {
        scenario: {kind: rounded(kind, cost.total(kind)) for kind in KINDS} for scenario, cost in costs.items()
    }
    parts = [*facts.items(), ("scenarios", list(costs)), ("totals", totals)]
    members = [f" {json.dumps(name)}: {json.dumps(value)}" for name, value in parts]
    for kind in KINDS:
        rows = {}
        for name in sorted({name for cost in costs.values() for name in getattr(cost, kind)} - {OTHERS}):
            row = [rounded(kind, getattr(cost, kind)[name]) for cost in costs.values()]
            if max(row) >= WORTH_NAMING[kind]:
                rows[name] = row
        text = ",\n".join(f"  {json.dumps(name)}: {json.dumps(row)}" for name, row in rows.items())
        members.append(f" {json.dumps(kind)}: {{\n{text}\n }}")
    return "{\n" + ",\n".join(members) + "\n}\n"


def rounded(kind, figure):
    return round(figure, DIGITS[kind] or None)


def parse(text):
    """The costs of a baseline by scenario, and the facts beside them."""
    facts = json.loads(text)
    scenarios, totals = facts.pop("scenarios"), facts.pop("totals")
    costs = {scenario: Cost() for scenario in scenarios}
    for kind in KINDS:
        rows = facts.pop(kind)
        for column, (scenario, cost) in enumerate(costs.items()):
            named = getattr(cost, kind)
            named.update({name: row[column] for name, row in rows.items()})
            named[OTHERS] = totals[scenario][kind] - cost.total(kind)
    return costs, facts
