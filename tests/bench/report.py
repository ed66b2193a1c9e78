"""From samples to figures, and from figures to words."""

import json
from collections import defaultdict
from dataclasses import asdict, dataclass
from statistics import median

from scenarios import GATEWAY, MEMORY, SCENARIOS, TARGETS


@dataclass(frozen=True)
class Sample:
    round: int
    scenario: str
    proxy: str
    requests_per_second: float
    cpu_us: float
    p99_ms: float


class Results:
    def __init__(self):
        self.samples = []
        self.held = {what: {} for what in MEMORY}

    def of(self, scenario, proxy):
        return [one for one in self.samples if (one.scenario, one.proxy) == (scenario, proxy)]

    def ratios(self, scenario, proxy, other, against):
        """CPU time for a request, round by round, in units of the other's in that round."""
        theirs = {one.round: one.cpu_us for one in self.of(against, other)}
        return [one.cpu_us / theirs[one.round] for one in self.of(scenario, proxy) if one.round in theirs]

    def rows(self):
        """One a scenario and proxy, with the medians over all rounds."""
        names = list(dict.fromkeys(one.proxy for one in self.samples))
        for scenario in SCENARIOS:
            for proxy in names:
                if samples := self.of(scenario.name, proxy):
                    middle = {
                        key: median(getattr(one, key) for one in samples)
                        for key in ("requests_per_second", "cpu_us", "p99_ms")
                    }
                    # Nobody but the gateway does Basic and keys; nginx asks nobody at all.
                    against = scenario.name if self.of(scenario.name, "nginx") else "jwt"
                    ratios = self.ratios(scenario.name, proxy, "nginx", against)
                    yield {"scenario": scenario.name, "proxy": proxy, **middle, "to_nginx": spread(ratios)}

    def targets(self):
        """One a target: what is wanted, what was seen, whether that is enough."""
        for target in TARGETS:
            what = f"{target.scenario}: CPU at most {target.limit:g} x {target.proxy}"
            if target.against != target.scenario:
                what += f" with {target.against}"
            if target.of != GATEWAY:
                what = f"{target.of}, {what}"
            ratios = self.ratios(target.scenario, target.of, target.proxy, target.against)
            yield verdict(what, spread(ratios), target.limit)
        for what, limit in [(what, held.limit) for what, held in MEMORY.items() if held.limit]:
            held = self.held[what].get(GATEWAY)
            seen = {"median": held / 1000, "low": held / 1000, "high": held / 1000} if held else None
            yield verdict(f"{what}: at most {limit / 1000:g} KB a connection", seen, limit / 1000)

    def facts(self, machine):
        return {
            **machine,
            "rows": list(self.rows()),
            "held_bytes": self.held,
            "targets": list(self.targets()),
            "samples": [asdict(one) for one in self.samples],
        }


def spread(ratios):
    return {"median": median(ratios), "low": min(ratios), "high": max(ratios)} if ratios else None


def verdict(what, seen, limit):
    by = None if seen is None else (limit - seen["median"]) / limit
    return {"target": what, "seen": seen, "met": None if by is None else by >= 0, "by": by}


def shown(seen):
    if seen is None:
        return "-"
    if seen["low"] == seen["high"]:
        return f"{seen['median']:.2f}"
    return f"{seen['median']:.2f} ({seen['low']:.2f}-{seen['high']:.2f})"


def judged(target):
    if target["met"] is None:
        return "not measured"
    return f"{'met' if target['met'] else 'MISSED'} by {abs(target['by']):.0%}"


def tables(facts):
    """Heads and rows of what is printed."""
    if facts["rows"]:
        yield ["scenario", "proxy", "requests/s", "CPU us/request", "p99 ms", "CPU, nginx = 1"], [
            [
                row["scenario"],
                row["proxy"],
                f"{row['requests_per_second']:.0f}",
                f"{row['cpu_us']:.1f}",
                f"{row['p99_ms']:.2f}",
                shown(row["to_nginx"]),
            ]
            for row in facts["rows"]
        ]
    for what, each in facts["held_bytes"].items():
        if each:
            yield ["proxy", f"KB for {MEMORY[what].about}"], [[name, f"{held / 1000:.1f}"] for name, held in each.items()]
    yield ["target", "seen", "verdict"], [
        [target["target"], shown(target["seen"]), judged(target)] for target in facts["targets"]
    ]


def plain(heads, rows):
    widths = [max(len(row[column]) for row in [heads, *rows]) for column in range(len(heads))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in [heads, *rows])
    return "\n".join(lines)


def markdown(heads, rows):
    return "\n".join("| " + " | ".join(row) + " |" for row in [heads, ["---"] * len(heads), *rows])


def render(facts, form):
    if form == "json":
        return json.dumps(facts, indent=2)
    draw = markdown if form == "markdown" else plain
    about = [
        f"{facts['date']}  {facts['cpu']}, {facts['cores']} cores, Linux {facts['kernel']}, {facts['system']}",
        ", ".join(facts["versions"]),
        f"medians of {facts['rounds']} interleaved rounds of {facts['seconds']} s, lowest and highest in parentheses",
    ]
    return "\n\n".join([*(draw(heads, rows) for heads, rows in tables(facts)), "\n".join(about)])


def scenario_words():
    words = [(one.name, one.about) for one in SCENARIOS] + [(name, f"memory for {held.about}") for name, held in MEMORY.items()]
    return "\n".join(f"  {name:10} {about}" for name, about in words)
