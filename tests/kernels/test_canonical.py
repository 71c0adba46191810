"""The canonical-code kernel against a plain Python twin, on any input."""

from __future__ import annotations

import heapq
import struct
from collections import Counter
from itertools import count

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti_ext.canonical import decode
from smalti_ext.decoding import DecodingError

DIRECT, MOST = 8, 64


def symbol_of(difference: int) -> tuple[int, int]:
    """The symbol of a difference, and how many bits of it follow."""
    if -(1 << (DIRECT - 1)) <= difference < 1 << (DIRECT - 1):
        return difference & ((1 << DIRECT) - 1), 0
    bits = next(n for n in range(DIRECT + 1, MOST + 1) if -(1 << (n - 1)) <= difference < 1 << (n - 1))
    return (1 << DIRECT) + bits - DIRECT, bits


def lengths_of(symbols: list[int]) -> dict[int, int]:
    """Huffman's code lengths, with at least the stop code beside the symbols used."""
    counts = Counter(symbols)
    counts[1 << DIRECT] = 1
    if len(counts) == 1:
        return {1 << DIRECT: 1}
    order = count()
    heap = [(n, next(order), [symbol]) for symbol, n in counts.items()]
    heapq.heapify(heap)
    lengths = dict.fromkeys(counts, 0)
    while len(heap) > 1:
        (a, _, left), (b, _, right) = heapq.heappop(heap), heapq.heappop(heap)
        for symbol in left + right:
            lengths[symbol] += 1
        heapq.heappush(heap, (a + b, next(order), left + right))
    return lengths


def codes_of(lengths: dict[int, int]) -> dict[int, tuple[int, int]]:
    """(code, length) of each symbol: numbered from zero, longest first, by symbol within a length."""
    code, before, codes = 0, max(lengths.values()), {}
    for symbol in sorted(lengths, key=lambda s: (-lengths[s], s)):
        code >>= before - lengths[symbol]
        before = lengths[symbol]
        codes[symbol] = code, before
        code += 1
    return codes


def encode_plainly(values: list[int]) -> bytes:
    """The format as its description reads."""
    wrapped = [
        (b - a + (1 << 63)) % (1 << 64) - (1 << 63) for a, b in zip([0, *values], values, strict=False)
    ]
    pairs = [symbol_of(difference) for difference in wrapped]
    lengths = lengths_of([symbol for symbol, _ in pairs])
    codes = codes_of(lengths)
    bits: list[int] = []
    for difference, (symbol, extra) in zip(wrapped, pairs, strict=True):
        code, length = codes[symbol]
        bits += [(code >> (length - 1 - k)) & 1 for k in range(length)]
        bits += [(difference >> k) & 1 for k in range(extra)]
    code, length = codes[1 << DIRECT]
    bits += [(code >> (length - 1 - k)) & 1 for k in range(length)]
    table = bytes(lengths.get(s, 0) for s in range((1 << DIRECT) + 1 + MOST - DIRECT))
    data = np.packbits(np.array(bits, dtype=np.uint8), bitorder="little").tobytes()
    return struct.pack("<Q3q2B", len(values), 0, 0, 0, DIRECT, MOST) + table + data


VALUES = st.one_of(
    st.integers(-200, 200),
    st.sampled_from([2**63 - 1, -(2**63), 127, -128, 128, 2**31, 0]),
    st.integers(-(2**63), 2**63 - 1),
)


@given(st.lists(VALUES, max_size=60))
@settings(deadline=None)
def test_what_the_twin_writes_comes_back(values: list[int]) -> None:
    found = decode(encode_plainly(values), np.empty(len(values), dtype=np.uint64))
    assert found.view(np.int64).tolist() == values


def test_real_numbers_are_bit_patterns() -> None:
    values = np.random.default_rng(3).poisson(20.0, 500) - 15.0
    payload = encode_plainly(values.view(np.int64).tolist())
    assert decode(payload, np.empty(500, dtype=np.uint64)).view(np.float64).tolist() == values.tolist()


@given(st.binary(max_size=400))
@settings(deadline=None)
def test_no_input_is_unsafe(data: bytes) -> None:
    """Any bytes after a sound preamble decode or are refused."""
    payload = struct.pack("<Q3q2B", 20, 0, 0, 0, 3, 12) + data
    try:
        decode(payload, np.empty(20, dtype=np.uint64))
    except DecodingError as error:
        assert 0 <= error.byte <= len(payload)
        assert 0 <= error.element < 20


@pytest.mark.parametrize(("cut", "why"), [(10, "preamble"), (100, "table"), (-40, "the data end in byte")])
def test_what_is_cut_short_is_refused(cut: int, why: str) -> None:
    payload = encode_plainly(list(range(0, 30000, 300)))
    with pytest.raises(DecodingError, match=why):
        decode(payload[:cut], np.empty(100, dtype=np.uint64))


def test_wrong_tables_are_refused() -> None:
    good = bytearray(encode_plainly([1, 2, 3]))
    out = np.empty(3, dtype=np.uint64)
    for place, value, why in ((0, 4, "4 elements instead of 3"), (32, 0, "no table"), (33, 65, "no table")):
        wrong = bytearray(good)
        wrong[place] = value
        with pytest.raises(DecodingError, match=why):
            decode(bytes(wrong), out)
    wrong = bytearray(good)
    wrong[34 + 7] = 200
    with pytest.raises(DecodingError, match="200 bits"):
        decode(bytes(wrong), out)


def test_an_early_stop_is_refused() -> None:
    payload = bytearray(encode_plainly([5, 5]))
    payload[0] = 3
    with pytest.raises(DecodingError, match="end at element 2 of 3"):
        decode(bytes(payload), np.empty(3, dtype=np.uint64))


def test_the_array_is_checked() -> None:
    for wrong in (np.empty(3, dtype=np.int64), np.empty((3, 1), dtype=np.uint64)):
        with pytest.raises(TypeError):
            decode(encode_plainly([1, 2, 3]), wrong)
