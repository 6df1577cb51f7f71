"""UTF-8 (Autobahn 6): what is valid arrives as it is; what is not closes 1007, wherever frames and packets cut it."""

import pytest

from tests.web.rfc6455.wire import CONTINUATION, TEXT, Echo, Wire, event, fragments, frame, slices

KOSME = "κόσμε".encode()

VALID = {
    "greek": KOSME,
    "mixed": "Hello-µ@ßöäüàá-UTF-8!!".encode(),
    "first of 2 bytes": b"\xc2\x80",
    "first of 3 bytes": b"\xe0\xa0\x80",
    "first of 4 bytes": b"\xf0\x90\x80\x80",
    "last of 1 byte": b"\x7f",
    "last of 2 bytes": b"\xdf\xbf",
    "last of 3 bytes": b"\xef\xbf\xbf",
    "last of all": b"\xf4\x8f\xbf\xbf",
    "before the surrogates": b"\xed\x9f\xbf",
    "behind the surrogates": b"\xee\x80\x80",
    "replacement character": b"\xef\xbf\xbd",
    "byte order mark": b"\xef\xbb\xbf",
    "noncharacter U+FFFE": b"\xef\xbf\xbe",
    "noncharacter U+FDD0": b"\xef\xb7\x90",
    **{
        f"noncharacters of plane {plane}": (chr(plane << 16 | 0xFFFE) + chr(plane << 16 | 0xFFFF)).encode()
        for plane in range(1, 17)
    },
}

INVALID = {
    "surrogate amid greek": KOSME + b"\xed\xa0\x80edited",
    "byte FE": b"\xfe",
    "byte FF": b"\xff",
    "bytes FE FE FF FF": b"\xfe\xfe\xff\xff",
    "first continuation byte": b"\x80",
    "last continuation byte": b"\xbf",
    **{f"{count} continuation bytes": b"\x80\xbf\x80\xbf\x80\xbf\x80"[:count] for count in range(2, 8)},
    "every continuation byte": bytes(range(0x80, 0xC0)),
    "starts of 2 bytes, alone": b" ".join(bytes((byte,)) for byte in range(0xC0, 0xE0)),
    "starts of 3 bytes, alone": b" ".join(bytes((byte,)) for byte in range(0xE0, 0xF0)),
    "starts of 4 bytes, alone": b" ".join(bytes((byte,)) for byte in range(0xF0, 0xF8)),
    "2 bytes, the last missing": b"\xc2",
    "3 bytes, the last missing": b"\xe0\xa0",
    "4 bytes, the last missing": b"\xf0\x90\x80",
    "5 bytes": b"\xf8\x88\x80\x80\x80",
    "6 bytes": b"\xfc\x84\x80\x80\x80\x80",
    "5 bytes, the last missing": b"\xf8\x80\x80\x80",
    "6 bytes, the last missing": b"\xfc\x80\x80\x80\x80",
    "all of them, incomplete": b"\xc0\xe0\x80\xf0\x80\x80\xf8\x80\x80\x80\xdf\xef\xbf\xf7\xbf\xbf",
    "slash in 2 bytes": b"\xc0\xaf",
    "slash in 3 bytes": b"\xe0\x80\xaf",
    "slash in 4 bytes": b"\xf0\x80\x80\xaf",
    "longest form that is too long, 2 bytes": b"\xc1\xbf",
    "longest form that is too long, 3 bytes": b"\xe0\x9f\xbf",
    "longest form that is too long, 4 bytes": b"\xf0\x8f\xbf\xbf",
    "zero in 2 bytes": b"\xc0\x80",
    "zero in 3 bytes": b"\xe0\x80\x80",
    "zero in 4 bytes": b"\xf0\x80\x80\x80",
    "first above U+10FFFF": b"\xf4\x90\x80\x80",
    "last of 4 bytes": b"\xf7\xbf\xbf\xbf",
    "first high surrogate": b"\xed\xa0\x80",
    "last high surrogate": b"\xed\xaf\xbf",
    "first low surrogate": b"\xed\xb0\x80",
    "last low surrogate": b"\xed\xbf\xbf",
    "pair of surrogates": b"\xed\xa0\x80\xed\xb0\x80",
    "last pair of surrogates": b"\xed\xaf\xbf\xed\xbf\xbf",
}

# How a message can be cut: whole, a packet an octet, a frame an octet, and both.
CUTS = {"whole": (False, None), "chopped": (False, 1), "fragmented": (True, None), "both": (True, 1)}

valid = pytest.mark.parametrize("content", VALID.values(), ids=VALID.keys())
invalid = pytest.mark.parametrize("content", INVALID.values(), ids=INVALID.keys())
cut = pytest.mark.parametrize(("fragmented", "chop"), CUTS.values(), ids=CUTS.keys())


def octets(text: bytes, fragmented: bool) -> bytes:
    return fragments(TEXT, *slices(text, 1)) if fragmented else frame(TEXT, text)


@valid
@cut
async def test_valid_text_arrives_byte_for_byte(echo: Echo, content: bytes, fragmented: bool, chop: int | None) -> None:
    text = event(content)
    await echo.send(octets(text, fragmented), chop)
    await echo.returns(text)


@invalid
@cut
async def test_invalid_text_closes_1007(wire: Wire, content: bytes, fragmented: bool, chop: int | None) -> None:
    await wire.send(octets(event(content), fragmented), chop)
    assert await wire.failed() == 1007


@pytest.mark.parametrize("content", [b"\xce", KOSME + b"\xf4\x90\x80\x80"])
async def test_invalid_text_that_is_the_whole_message_closes_1007(wire: Wire, content: bytes) -> None:
    await wire.send(frame(TEXT, content))
    assert await wire.failed() == 1007


@pytest.mark.parametrize("cut_at", range(1, len(KOSME)))
async def test_a_character_may_be_cut_between_fragments(echo: Echo, cut_at: int) -> None:
    text = event(KOSME)
    place = text.index(KOSME) + cut_at
    await echo.send(fragments(TEXT, text[:place], b"", text[place:]))
    await echo.returns(text)


async def test_valid_text_in_front_of_invalid_text_is_served(echo: Echo) -> None:
    text = event(KOSME)
    await echo.send(frame(TEXT, text) + frame(TEXT, b"\xff") + frame(TEXT, text))
    await echo.returns(text)
    assert await echo.sender.failed() == 1007


async def test_a_message_that_ends_within_a_character_closes_1007_and_is_not_carried_over(wire: Wire) -> None:
    await wire.send(frame(TEXT, KOSME[:1], last=False) + frame(CONTINUATION, b"") + frame(TEXT, KOSME[1:]))
    assert await wire.failed() == 1007


async def test_control_characters_are_no_fault_of_the_encoding(wire: Wire) -> None:
    await wire.send(frame(TEXT, bytes(range(32))))
    assert (await wire.message())["data"]["code"] == 4300
    await wire.is_alive()
