"""Reads what callgrind counted, and gives functions names that fit on a line."""

import re
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Counts:
    """What one thread did."""

    # Instructions of each function, without those of what it calls.
    own: Counter = field(default_factory=Counter)
    # How often a function called another.
    calls: Counter = field(default_factory=Counter)


def read(text):
    """The counts of a file, by the names that it gives to functions.

    A name stands where its number is first used, `fn=(7) name`, and later `fn=(7)` is
    enough; callers and callees share their numbers.
    """
    counts, names = Counts(), {}
    caller, is_call = None, False
    for line in text.splitlines():
        if line[:1] in NUMBERED:
            cost = line.split()[1:]
            # After `calls=` stands what the callee cost, which is counted where it is the caller.
            if cost and not is_call:
                counts.own[caller] += int(cost[0])
            is_call = False
        elif line.startswith("fn="):
            caller = named(line[3:], names)
        elif line.startswith("cfn="):
            callee = named(line[4:], names)
        elif line.startswith("calls="):
            counts.calls[caller, callee] += int(line[6:].split()[0])
            is_call = True
    return counts


# Lines of costs begin with a place in the source, which may be relative to the one before.
NUMBERED = tuple("0123456789+-*")


def named(text, names):
    number, _, name = text.partition(" ")
    if name:
        names[number] = short(name)
    return names[number]


def short(name):
    """Without the types that a generic function was made for, hashes, and paths of traits.

    Several copies of a function become one by that, and it keeps its name when only the
    types change.
    """
    # `'2` is how callgrind marks a function that is below itself.
    name = re.sub(r"'\d+$|::h[0-9a-f]{16}$|\.llvm\.\d+|\[[0-9a-f]{12,16}\]", "", name)
    name = re.sub(r"\{+(closure|shim)[^{}]*\}+", r"{\1}", name)
    name = re.sub(r"(\bas |\bimpl )(?:\w+::)+", r"\1", without_generics(name))
    # `<Vec>::push` and `Vec::push` are the same.
    return re.sub(r"^<([\w:]+)>::", r"\1::", name)


def without_generics(text):
    kept, at = "", 0
    while at < len(text):
        if text[at] != "<":
            kept, at = kept + text[at], at + 1
            continue
        end = closing(text, at)
        inside = text[at + 1 : end]
        if is_told(kept, inside):
            kept += f"<{without_generics(inside)}>"
        else:
            kept = kept.removesuffix("::")
        at = end + 1
    return kept


def is_told(before, inside):
    """Whether it is the type that a function belongs to, and no argument of a generic."""
    return not re.search(r"[\w}>:]$", before) or inside.startswith("impl ") or "drop_in_place" in before[-15:]


def closing(text, begin):
    """Where the bracket that opens at `begin` is closed."""
    depth = 0
    for at in range(begin, len(text)):
        if text[at] == "<":
            depth += 1
        elif text[at] == ">" and text[at - 1] != "-":
            depth -= 1
            if not depth:
                return at
    return len(text)
