"""The judge catches every kind of lie; what is accepted names files that exist."""

import os
import unittest

from judge import Malformed, judge, read_accepted

A, B = "src/a.rs: replace < with <= in f", "src/b.rs: replace g with ()"
REASON = "\n    It is the same.\n"


def mutant(name, line=7):
    place, what = name.split(": ", 1)
    return {"name": f"{place}:{line}:9: {what}"}


def outcome(summary, name, line=7):
    return {"scenario": {"Mutant": mutant(name, line)}, "summary": summary}


GOOD = {"scenario": "Baseline", "summary": "Success"}
CAUGHT, MISSED, TIMEOUT = "CaughtMutant", "MissedMutant", "Timeout"


class Judge(unittest.TestCase):
    def check(self, accepted, listed, tried, *expected):
        outcomes = [GOOD] + [outcome(*one) for one in tried]
        wrong = list(judge(read_accepted(accepted), [mutant(*one) for one in listed], outcomes))
        self.assertEqual(len(wrong), len(expected), wrong)
        for line, words in zip(wrong, expected):
            self.assertIn(words, line)

    def test_what_is_noticed_or_accepted_passes(self):
        self.check("", [[A], [B]], [[CAUGHT, A], [TIMEOUT, B]])
        self.check(A + REASON, [[A], [B]], [[MISSED, A], ["Unviable", B]])

    def test_a_survivor_that_is_not_accepted_fails(self):
        self.check("", [[A]], [[MISSED, A]], "nobody has accepted")
        self.check(B + REASON, [[A], [B]], [[MISSED, A], [MISSED, B]], "nobody has accepted")

    def test_a_name_is_accepted_as_often_as_it_stands_there(self):
        listed = [[A, 7], [A, 8]]
        self.check(A + REASON, listed, [[MISSED, A, 7], [CAUGHT, A, 8]])
        both = [[MISSED, A, 7], [MISSED, A, 8]]
        self.check(A + REASON, listed, both, "nobody has accepted")
        self.check(f"{A}\n{A}{REASON}", listed, both)
        self.check(f"{A}\n{A}{REASON}", listed, [[MISSED, A, 7], [CAUGHT, A, 8]], "noticed")

    def test_an_accepted_one_that_is_noticed_now_fails(self):
        self.check(A + REASON, [[A]], [[CAUGHT, A]], "noticed by a test now")
        # Another shard has the other one.
        self.check(A + REASON, [[A, 7], [A, 8]], [[CAUGHT, A, 7]])
        self.check(A + REASON, [[A]], [])

    def test_an_accepted_one_that_is_no_more_fails(self):
        self.check(A + REASON, [[B]], [[CAUGHT, B]], "no such fault")

    def test_tests_that_fail_by_themselves_notice_nothing(self):
        broken = [{"scenario": "Baseline", "summary": "Failure"}]
        self.assertIn("without any fault", *judge(read_accepted(""), [], broken))

    def test_every_accepted_one_has_a_reason(self):
        for text in [A, f"{A}\n", f"{A}{REASON}{B}\n", REASON]:
            self.assertRaises(Malformed, read_accepted, text)


class Files(unittest.TestCase):
    def test_what_is_named_is_there(self):
        with open("tests/mutants/accepted") as file:
            for name in read_accepted(file.read()):
                self.assertTrue(os.path.isfile(name.split(": ")[0]), name)


if __name__ == "__main__":
    unittest.main()
