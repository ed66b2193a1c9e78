"""What callgrind writes is read as it is meant."""

import unittest

import callgrind

WRITTEN = """\
# callgrind format
version: 1
creator: callgrind-3.19.0
positions: line
events: Ir
summary: 1234

ob=(1) /portcullis
fl=(1) ???
fn=(1) portcullis::edge::serve::{{closure}}::h0123456789abcdef
0 100
cob=(2) /libc.so.6
cfi=(2) memmove.S
cfn=(2) __memcpy_avx_unaligned_erms
calls=3 12
0 60
+7 5
cfn=(3) mi_malloc_aligned
calls=2 0
* 40
cfn=(4) aws_lc_0_47_0_SHA256
calls=1 0
0 9000
cfn=(1)
calls=1 0
0 50

fn=(2)
12 60
fn=(3)
0 40

totals: 1234
"""
SERVE = "portcullis::edge::serve::{closure}"


class Callgrind(unittest.TestCase):
    def test_costs_and_calls_go_to_their_functions(self):
        counts = callgrind.read(WRITTEN)
        # What the line after `calls=` costs is the callee's.
        self.assertEqual(counts.own, {SERVE: 105, "__memcpy_avx_unaligned_erms": 60, "mi_malloc_aligned": 40})
        self.assertEqual(counts.calls[SERVE, "__memcpy_avx_unaligned_erms"], 3)
        self.assertEqual(counts.calls[SERVE, SERVE], 1)

    def test_names_are_short(self):
        for long, short in {
            "tokio::runtime::task::raw::poll'2": "tokio::runtime::task::raw::poll",
            "core::ptr::drop_in_place<alloc::vec::Vec<u8>>": "core::ptr::drop_in_place<alloc::vec::Vec>",
            "<h1::Dispatcher<D,Bs,I,T> as core::future::Future>::poll": "<h1::Dispatcher as Future>::poll",
            "<alloc::vec::Vec<T,A>>::push": "alloc::vec::Vec::push",
            "core::iter::map::<fn(u8) -> u8, a::B<u8>>::{closure#3}": "core::iter::map::{closure}",
            "a::b::<impl a::Serialize for a::c::D<T>>::f": "a::b::<impl Serialize for a::c::D>::f",
            "<<&mut a::S<W> as a::T>::f::Adapter<W> as core::fmt::Write>::g": "<<&mut a::S as T>::f::Adapter as Write>::g",
            "<alloc[0123456789abcdef]::string::String>::push.llvm.123": "alloc::string::String::push",
            "mi_free": "mi_free",
        }.items():
            self.assertEqual(callgrind.short(long), short)


if __name__ == "__main__":
    unittest.main()
