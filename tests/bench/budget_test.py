"""What a request costs is counted without the machine's part, and whatever costs more is found."""

import copy
import unittest
from pathlib import Path

import budget
import callgrind
from callgrind_test import SERVE, WRITTEN


class Counting(unittest.TestCase):
    def test_what_the_machine_decides_does_not_count(self):
        one = budget.cost(callgrind.Counts(), callgrind.read(WRITTEN), 1)
        self.assertEqual(one.instructions, {SERVE: 105, "memcpy": 60})
        self.assertEqual(one.allocations, {SERVE: 2})
        self.assertEqual(one.cryptography, {"SHA256": 1})

    def test_waiting_and_writing_of_the_log_do_not_count(self):
        self.assertIsNone(budget.charged("std::thread::functions::park_timeout"))
        self.assertIsNone(budget.charged("<std::io::stdio::StdoutLock as Write>::write_all"))
        self.assertEqual(budget.charged("std::thread::park"), "std::thread::park")

    def test_the_short_run_is_taken_off(self):
        counts = callgrind.read(WRITTEN)
        self.assertRaises(budget.Unusable, budget.cost, counts, counts, 1)

    def test_an_allocator_by_another_name_is_noticed(self):
        counts = callgrind.read(WRITTEN.replace("mi_malloc_aligned", "other_malloc"))
        self.assertRaises(budget.Unusable, budget.cost, callgrind.Counts(), counts, 1)

    def test_one_odd_round_of_three_changes_nothing(self):
        usual, odd = (budget.Cost(instructions=budget.Counter(of)) for of in ({"a::b": 7}, {"a::b": 9, "redb::c": 90}))
        self.assertEqual(budget.median([usual, odd, usual]).total("instructions"), 7)


class Judgement(unittest.TestCase):
    """Of the figures that are committed, as if they had just been measured."""

    def setUp(self):
        self.text = (Path(__file__).parent / "baseline.json").read_text()
        self.then, self.facts = budget.parse(self.text)
        self.now = copy.deepcopy(self.then)

    def scale(self, costs, by):
        named = costs["jwt"].instructions
        for name in named:
            named[name] *= by

    def judge(self, *expected):
        is_good, lines = budget.judge(self.now, self.then)
        for part in expected:
            self.assertIn(part, "\n".join(lines))
        return is_good, lines

    def test_the_same_passes_without_a_word(self):
        self.assertEqual(self.judge(), (True, []))
        self.scale(self.now, 1.029)
        self.assertEqual(self.judge(), (True, []))

    def test_against_a_baseline_that_is_5_percent_cheaper_it_fails_and_names_functions(self):
        self.scale(self.then, 0.95)
        is_good, lines = self.judge("TOO MUCH  jwt: ", "+5.3%", "  portcullis::")
        self.assertFalse(is_good)
        self.assertEqual(len(lines), 1 + budget.NAMED)

    def test_the_function_that_grew_comes_first(self):
        self.now["key"].instructions["portcullis::auth::slow"] = 9000
        is_good, lines = self.judge("TOO MUCH  key: ")
        self.assertFalse(is_good)
        self.assertEqual(lines[1:], ["    +9,000  portcullis::auth::slow (was 0)"])

    def test_one_more_allocation_or_hash_fails(self):
        for kind, name in {"allocations": "portcullis::copy", "cryptography": "SHA256"}.items():
            with self.subTest(kind):
                getattr(self.now["public-h2"], kind)[name] += 1
                self.assertFalse(self.judge("TOO MUCH  public-h2: ", name)[0])
                getattr(self.now["public-h2"], kind)[name] -= 1

    def test_what_became_cheaper_passes_and_asks_for_a_baseline(self):
        self.scale(self.now, 0.96)
        self.assertTrue(self.judge("cheaper   jwt: ", "--update")[0])

    def test_other_scenarios_than_the_baselines_are_refused(self):
        for costs in self.now, self.then:
            one = costs.pop("jwt-h2")
            self.assertRaises(budget.Unusable, self.judge)
            costs["jwt-h2"] = one

    def test_a_baseline_is_written_as_it_is_read(self):
        self.assertEqual(budget.render(self.now, self.facts), self.text)


if __name__ == "__main__":
    unittest.main()
