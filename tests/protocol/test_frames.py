"""WebSocket frames without a network: the reader against every cut of its input, and the writer against the reader."""

import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soketpy.protocol import frames
from soketpy.protocol.frames import Close, CloseCode, FrameError, FrameReader, Opcode

LIMIT = 1000
EDGES = (0, 1, 2, 124, 125, 126, 127, 128, 65535, 65536, 65537)

Pair = tuple[int, bytes]

UNFINISHED = (Opcode.CONTINUATION, b"")


def client_frame(opcode: int, payload: bytes, last: bool = True, mask: bytes = b"\x37\xfa\x21\x3d") -> bytes:
    """One frame as a client sends it."""
    whole = frames.encode(opcode, b"x" * len(payload))
    head = bytearray(whole[: len(whole) - len(payload)])
    head[0] = (0x80 if last else 0) | opcode
    head[1] |= 0x80
    return bytes(head) + mask + frames.unmask(payload, mask)


def read(*chunks: bytes, limit: int = LIMIT) -> tuple[list[Pair], int | None]:
    """Return the messages that a reader decodes from the chunks, and the code of the error that ended them."""
    reader, messages = FrameReader(limit), list[Pair]()
    try:
        for chunk in chunks:
            for message in reader.feed(chunk):
                if message != UNFINISHED:
                    messages.append(message)
    except FrameError as fault:
        return messages, fault.code
    return messages, None


# The writer


@pytest.mark.parametrize("size", EDGES)
@pytest.mark.parametrize("opcode", Opcode)
def test_a_frame_has_the_shortest_form_of_its_length_and_no_mask(opcode: Opcode, size: int) -> None:
    payload = bytes(index % 251 for index in range(size))
    if size < 126:
        head = bytes((0x80 | opcode, size))
    elif size < 65536:
        head = bytes((0x80 | opcode, 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x80 | opcode, 127)) + size.to_bytes(8, "big")
    assert frames.encode(opcode, payload) == head + payload


@pytest.mark.parametrize(
    ("reason", "sent"),
    [
        ("", b""),
        ("Bye", b"Bye"),
        ("x" * 123, b"x" * 123),
        ("x" * 124, b"x" * 123),
        ("é" * 62, "é".encode() * 61),
        ("x" + "😀" * 40, b"x" + "😀".encode() * 30),
    ],
)
def test_the_reason_of_a_close_frame_is_cut_to_what_fits_and_never_within_a_character(reason: str, sent: bytes) -> None:
    assert frames.encode_close(4001, reason) == bytes((0x88, 2 + len(sent), 0x0F, 0xA1)) + sent


# Close frames of clients


@pytest.mark.parametrize("code", [*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999])
def test_a_close_code_that_may_be_sent_is_read(code: int) -> None:
    assert frames.parse_close(code.to_bytes(2, "big") + "Grüße".encode()) == Close(code, "Grüße")


def test_a_close_frame_without_a_code_is_read_as_1005() -> None:
    assert frames.parse_close(b"") == Close(CloseCode.NO_STATUS, "")


BAD_CODES = (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        *((bad.to_bytes(2, "big"), 1002) for bad in BAD_CODES),
        (b"\x03", 1002),
        (b"\x03\xe8\xff", 1007),
        (b"\x03\xe8ok\xed\xa0\x80", 1007),
    ],
)
def test_a_close_frame_that_must_not_be_sent_is_a_fault(payload: bytes, code: int) -> None:
    with pytest.raises(FrameError) as fault:
        frames.parse_close(payload)
    assert fault.value.code == code


# The reader


@given(payload=st.binary(max_size=300), mask=st.binary(min_size=4, max_size=4))
def test_a_mask_is_taken_off_as_section_5_3_says(payload: bytes, mask: bytes) -> None:
    assert frames.unmask(payload, mask) == bytes(octet ^ mask[index % 4] for index, octet in enumerate(payload))


@pytest.mark.parametrize("size", EDGES)
@pytest.mark.parametrize("opcode", [Opcode.TEXT, Opcode.BINARY])
def test_a_message_of_any_size_is_read(opcode: Opcode, size: int) -> None:
    payload = b"x" * size
    assert read(client_frame(opcode, payload), limit=size) == ([(opcode, payload)], None)


FAULTS = {
    "first reserved bit": (b"\xc1\x80", 1002),
    "second reserved bit": (b"\xa1\x80", 1002),
    "third reserved bit": (b"\x91\x80", 1002),
    **{f"opcode {opcode}": (bytes((0x80 | opcode, 0x80)), 1002) for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    "no mask": (b"\x81\x00", 1002),
    "ping in fragments": (b"\x09\x80", 1002),
    "pong in fragments": (b"\x0a\x80", 1002),
    "close in fragments": (b"\x08\x80", 1002),
    "ping of 126 bytes": (b"\x89\xfe", 1002),
    "close of 65536 bytes": (b"\x88\xff", 1002),
    "continuation of nothing": (b"\x80\x80", 1002),
    "first continuation of nothing": (b"\x00\x80", 1002),
    "new message in an unfinished one": (client_frame(1, b"a", last=False) + b"\x81\x80", 1002),
    "binary in an unfinished text": (client_frame(1, b"a", last=False) + b"\x02\x80", 1002),
    "highest bit of a length": (b"\x81\xff\x80" + bytes(11), 1002),
    "one byte too many": (b"\x81\xfe" + (LIMIT + 1).to_bytes(2, "big") + bytes(4), 1009),
    "very many bytes too many": (b"\x82\xff\x7f" + b"\xff" * 7 + bytes(4), 1009),
    "one byte too many in fragments": (client_frame(1, b"a" * LIMIT, last=False) + b"\x80\x81" + bytes(4), 1009),
    "text that is not UTF-8": (client_frame(1, b"\xff"), 1007),
    "text that is not UTF-8, in fragments": (client_frame(1, b"\xc3", last=False) + client_frame(0, b""), 1007),
}


@pytest.mark.parametrize(("data", "code"), FAULTS.values(), ids=FAULTS.keys())
def test_a_broken_rule_is_a_fault_with_its_code_however_its_bytes_come(data: bytes, code: int) -> None:
    served = client_frame(Opcode.TEXT, b"before")
    expected = [(Opcode.TEXT, b"before")]
    assert read(served + data) == (expected, code)
    assert read(served, data) == (expected, code)
    assert read(*(bytes((octet,)) for octet in served + data)) == (expected, code)


def test_control_frames_between_fragments_are_given_at_once() -> None:
    reader = FrameReader(LIMIT)
    assert list(reader.feed(client_frame(Opcode.TEXT, b"one ", last=False))) == [UNFINISHED]
    assert list(reader.feed(client_frame(Opcode.PING, b"?"))) == [(Opcode.PING, b"?")]
    assert list(reader.feed(client_frame(Opcode.CONTINUATION, b"two", last=False))) == [UNFINISHED]
    assert list(reader.feed(client_frame(Opcode.CONTINUATION, b""))) == [(Opcode.TEXT, b"one two")]


def test_frames_that_finish_no_message_are_given_one_by_one_so_that_they_can_be_counted() -> None:
    empty = client_frame(Opcode.CONTINUATION, b"", last=False)
    incoming = FrameReader(LIMIT).feed(client_frame(Opcode.TEXT, b"", last=False) + empty * 1000)
    assert list(incoming) == [UNFINISHED] * 1001


def test_a_control_frame_does_not_count_towards_the_limit() -> None:
    data = (
        client_frame(Opcode.BINARY, b"x" * LIMIT, last=False)
        + client_frame(Opcode.PING, b"y" * 125)
        + client_frame(Opcode.CONTINUATION, b"")
    )
    assert read(data) == ([(Opcode.PING, b"y" * 125), (Opcode.BINARY, b"x" * LIMIT)], None)


def test_text_is_held_to_utf8_and_binary_is_not() -> None:
    text = "κόσμε 😀 \ufffe".encode()
    data = client_frame(Opcode.TEXT, text) + client_frame(Opcode.BINARY, b"\xff") + client_frame(Opcode.PING, b"\xff")
    assert read(data) == ([(Opcode.TEXT, text), (Opcode.BINARY, b"\xff"), (Opcode.PING, b"\xff")], None)


# Any input


@st.composite
def conversations(draw: st.DrawFn) -> tuple[bytes, list[Pair]]:
    """Return the bytes of a client that follows the rules, and the messages in them."""
    masks, data, said = st.binary(min_size=4, max_size=4), b"", list[Pair]()

    def control() -> None:
        nonlocal data
        opcode, payload = draw(st.sampled_from([Opcode.PING, Opcode.PONG, Opcode.CLOSE])), draw(st.binary(max_size=125))
        data += client_frame(opcode, payload, mask=draw(masks))
        said.append((opcode, payload))

    for _ in range(draw(st.integers(0, 5))):
        if draw(st.booleans()):
            control()
        opcode = draw(st.sampled_from([Opcode.TEXT, Opcode.BINARY]))
        payload = draw(st.text(max_size=80).map(str.encode) if opcode == Opcode.TEXT else st.binary(max_size=300))
        bounds = [0, *sorted(draw(st.lists(st.integers(0, len(payload)), max_size=4))), len(payload)]
        parts = [payload[start:end] for start, end in pairwise(bounds)]
        for number, part in enumerate(parts):
            if number and draw(st.booleans()):
                control()
            kind = Opcode.CONTINUATION if number else opcode
            data += client_frame(kind, part, number == len(parts) - 1, draw(masks))
        said.append((opcode, payload))
    return data, said


def chop(data: bytes, places: list[int]) -> list[bytes]:
    bounds = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(bounds)]


places = st.lists(st.integers(0, 10_000), max_size=30)


@given(conversation=conversations(), places=places)
def test_any_frames_cut_anywhere_give_the_same_messages(
    conversation: tuple[bytes, list[Pair]], places: list[int]
) -> None:
    data, said = conversation
    assert read(*chop(data, places)) == (said, None)
    assert read(*chop(data, list(range(len(data))))) == (said, None)


@given(data=st.binary(max_size=200), places=places, conversation=conversations())
def test_any_bytes_give_the_same_messages_and_the_same_fault_wherever_they_are_cut(
    data: bytes, places: list[int], conversation: tuple[bytes, list[Pair]]
) -> None:
    data = conversation[0] + data
    messages, code = read(data)
    assert code in (None, CloseCode.PROTOCOL_ERROR, CloseCode.INVALID_TEXT, CloseCode.TOO_BIG)
    assert read(*chop(data, places)) == (messages, code)


@given(payload=st.binary(max_size=130))
def test_any_close_payload_is_read_or_a_fault(payload: bytes) -> None:
    code = None
    try:
        close = frames.parse_close(payload)
    except FrameError as fault:
        close, code = Close(0, ""), fault.code
    if code is None and payload:
        assert payload == close.code.to_bytes(2, "big") + close.reason.encode()
    assert code in (None, CloseCode.PROTOCOL_ERROR, CloseCode.INVALID_TEXT)


# Memory

KIB = 1024


def held_after(chunks: list[bytes], limit: int) -> int:
    """Bytes that a reader holds once it has taken the chunks."""
    tracemalloc.start()
    try:
        reader = FrameReader(limit)
        for chunk in chunks:
            list(reader.feed(chunk))
        before = tracemalloc.get_traced_memory()[0]
        del reader
        return before - tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


LARGE = client_frame(Opcode.BINARY, b"x" * (256 * KIB))
HALF = client_frame(Opcode.BINARY, b"x" * (128 * KIB), last=False)


@pytest.mark.parametrize(
    ("chunks", "most"),
    [
        ([], 512),
        ([LARGE], 512),
        (chop(LARGE, list(range(0, len(LARGE), 1000))), 512),
        (chop(LARGE[:-1], list(range(0, len(LARGE), 1000))), 300 * KIB),
        ([HALF, client_frame(Opcode.CONTINUATION, b"x" * (128 * KIB))[:-1]], 300 * KIB),
        ([HALF, client_frame(Opcode.CONTINUATION, b"", last=False) * 10_000], 160 * KIB),
        (
            [client_frame(Opcode.TEXT, b"", last=False), client_frame(Opcode.CONTINUATION, b"x", last=False) * 10_000],
            16 * KIB,
        ),
        ([client_frame(Opcode.PING, b"x" * 125) * 10_000], 512),
    ],
    ids=["new", "read", "read in pieces", "unread", "unread fragment", "empty fragments", "fragments", "pings"],
)
def test_a_reader_holds_one_message_at_most_and_next_to_nothing_between_messages(
    chunks: list[bytes], most: int
) -> None:
    assert held_after(chunks, 256 * KIB) <= most
