"""The byte-offset kernel against a plain Python twin, on any input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from smalti_ext import byte_offset
from smalti_ext.byte_offset import decode, encode
from smalti_ext.decoding import DecodingError


def decode_plainly(payload: bytes, n: int) -> tuple[list[int], int, str]:
    """The format as its description reads: (values, bytes used, why it stopped)."""
    values: list[int] = []
    at = value = 0
    while len(values) < n:
        place = at
        for size in (1, 2, 4, 8):
            if place + size > len(payload):
                return values, at, "end"
            difference = int.from_bytes(payload[place : place + size], "little", signed=True)
            place += size
            if difference != -(1 << (8 * size - 1)):
                break
        if not -(2**31) <= value + difference < 2**31:
            return values, at, "32 bits"
        value += difference
        at = place
        values.append(value)
    return values, at, ""


def encode_plainly(values: list[int]) -> bytes:
    out, last = b"", 0
    for value in values:
        difference, last = value - last, value
        for size in (1, 2, 4, 8):
            limit = 1 << (8 * size - 1)
            if -limit < difference < limit:
                out += difference.to_bytes(size, "little", signed=True)
                break
            out += (-limit).to_bytes(size, "little", signed=True)
    return out


# Around every border of the format, and anything else.
DIFFERENCES = [0, 1, -1, 127, 128, -127, -128, -129, 32767, 32768, -32767, -32768, 2**31 - 1, -(2**31)]
VALUES = st.one_of(st.sampled_from(DIFFERENCES), st.integers(-(2**31), 2**31 - 1), st.integers(-3, 90))


@given(st.lists(VALUES, max_size=80))
@settings(deadline=None)
def test_encoding_is_the_plain_one_and_comes_back(values: list[int]) -> None:
    counts = np.array(values, dtype=np.int32)
    payload = encode(counts)
    assert payload == encode_plainly(values)
    assert decode(payload, np.empty_like(counts)).tolist() == values


@pytest.mark.parametrize("jump", [200, 40000, 2**31 - 1, -(2**31)])
@pytest.mark.parametrize("position", range(40))
def test_an_escape_at_every_position(position: int, jump: int) -> None:
    counts = (np.arange(40) % 7).astype(np.int32)
    counts[position] = jump
    out = decode(encode(counts), np.full(40, 99, dtype=np.int32))
    np.testing.assert_array_equal(out, counts)


def test_the_widest_jump_takes_64_bits() -> None:
    counts = np.array([2**31 - 1, -(2**31), 2**31 - 1], dtype=np.int32)
    payload = encode(counts)
    assert len(payload) == 7 + 15 + 15
    np.testing.assert_array_equal(decode(payload, np.empty(3, dtype=np.int32)), counts)


@given(st.binary(max_size=120), st.integers(0, 60))
@example(b"\x80\x00\x80\x00\x00\x00\x80" + b"\xff" * 7 + b"\x7f", 3)
@example(b"\x80\x00\x80\xff\xff\xff\x7f" + b"\x7f" * 40, 30)
@example(b"\x80", 1)
@settings(deadline=None, max_examples=300)
def test_hostile_payloads_end_where_the_plain_decoder_ends(payload: bytes, n: int) -> None:
    values, used, reason = decode_plainly(payload, n)
    # Guards after the array: a kernel that writes too far is seen.
    room = np.full(n + 16, 12345, dtype=np.int32)
    if not reason:
        assert decode(payload, room[:n]).tolist() == values
    else:
        with pytest.raises(DecodingError, match=reason) as caught:
            decode(payload, room[:n])
        assert (caught.value.element, caught.value.byte) == (len(values), used)
        assert room[: len(values)].tolist() == values
    assert (room[n:] == 12345).all()


@given(st.integers(0, 200), arrays(np.int32, 100, elements=st.integers(-2, 300)))
@settings(deadline=None)
def test_truncation_names_the_place(cut: int, counts: np.ndarray) -> None:
    payload = encode(counts)[:cut]
    values, used, reason = decode_plainly(payload, counts.size)
    if reason:
        with pytest.raises(DecodingError, match=f"end in byte {used}, at pixel {len(values)} of 100"):
            decode(payload, np.empty(100, dtype=np.int32))


def test_padding_after_the_last_pixel_is_ignored() -> None:
    assert decode(b"\x05\x01\x00\x00\x00", np.empty((1, 2), dtype=np.int32)).tolist() == [[5, 6]]


def test_frames_and_arrays_of_bytes_are_taken() -> None:
    counts = np.arange(12, dtype=np.int32).reshape(3, 4) * 1000
    payload = np.frombuffer(encode(counts), dtype=np.uint8)
    np.testing.assert_array_equal(decode(payload, np.empty((3, 4), dtype=np.int32)), counts)


def test_a_wrong_type_is_an_error_not_a_copy() -> None:
    with pytest.raises(TypeError, match="int32"):
        decode(b"\x00", np.empty(1, dtype=np.int64))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="contiguous"):
        decode(b"\x00", np.empty((4, 4), dtype=np.int32)[:, ::2])
    with pytest.raises(TypeError, match="uint8"):
        decode(np.zeros(4, dtype=np.int16), np.empty(1, dtype=np.int32))  # type: ignore[arg-type]
    assert byte_offset.__all__ == ["decode", "encode"]


@pytest.mark.data
def test_fabio_decodes_real_data_alike(data) -> None:
    fabio = pytest.importorskip("fabio")
    image = fabio.open(str(data / "formats" / "omega_scan.cbf"))
    counts = np.ascontiguousarray(image.data, dtype=np.int32)
    raw = (data / "formats" / "omega_scan.cbf").read_bytes()
    payload = raw[raw.index(b"\x0c\x1a\x04\xd5") + 4 :]
    np.testing.assert_array_equal(decode(payload, np.empty_like(counts)), counts)
    size = int(image.header["X-Binary-Size"])
    assert encode(counts) == payload[:size]
