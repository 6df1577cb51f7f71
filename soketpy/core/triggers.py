"""The events of publishers: decoded and checked against the limits of the app, before any of them is sent."""

import re
from typing import NoReturn, TypeVar

import msgspec

from soketpy.core.apps import App
from soketpy.core.idempotency import Once, digest_of
from soketpy.protocol import channels, grammar, messages

SOCKET_ID = re.compile(r"[0-9]+\.[0-9]+")

LONGEST_KEY = 200
"""The most characters of an idempotency key."""

INFO_ATTRIBUTES = ("user_count", "subscription_count")


class TriggerRefused(Exception):
    """An event that cannot be published, and the reason for its publisher."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class DataTooLarge(TriggerRefused):
    """An event whose data exceeds the limit of the app."""


class Trigger(msgspec.Struct, frozen=True):
    """One event for one or more channels. ``data`` is the JSON string literal that subscribers get, byte for byte."""

    name: str
    data: bytes
    channels: tuple[str, ...]
    socket_id: str | None
    info: tuple[str, ...]
    once: Once | None = None
    """The idempotency key of the event: with the same key, it is published once on each channel."""


T = TypeVar("T")


class Body(msgspec.Struct):
    """The body of ``POST events``, and one event of ``POST batch_events``."""

    name: str
    data: msgspec.Raw
    channels: list[str] | None = None
    channel: str | None = None
    socket_id: str | None = None
    info: str | None = None
    idempotency_key: str | None = None


class Batch(msgspec.Struct):
    """The body of ``POST batch_events``."""

    batch: list[Body]
    idempotency_key: str | None = None


class _RawBatch(msgspec.Struct):
    batch: msgspec.Raw
    idempotency_key: str | None = None


_body = msgspec.json.Decoder(Body)
_batch = msgspec.json.Decoder(Batch)
_raw_batch = msgspec.json.Decoder(_RawBatch)
_text = msgspec.json.Decoder(str)


def parse_event(body: bytes) -> Body:
    """Read the JSON body of ``POST events``. Raises TriggerRefused."""
    return _parse(_body, body)


def parse_batch(body: bytes) -> Batch:
    """Read the JSON body of ``POST batch_events``. Raises TriggerRefused."""
    try:
        if not body.isascii():
            body.decode()
        return _batch.decode(body)
    except msgspec.ValidationError as fault:
        _refuse_body(str(fault))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # msgspec cannot decode one of the events: read them one by one.
        found = _parse(_raw_batch, body)
        events = bytes(found.batch).decode()
        try:
            bodies = [_parse(_body, grammar.encoded(event)) for event in grammar.elements(events)]
            return Batch(bodies, found.idempotency_key)
        except ValueError as reason:
            _refuse_body(f"the batch is not valid: {reason}")


def _parse(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    try:
        if not body.isascii():
            body.decode()
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        try:
            return grammar.reread(body, decoder.type, fault)
        except (msgspec.ValidationError, ValueError) as reason:
            _refuse_body(str(reason))


def _refuse_body(reason: str) -> NoReturn:
    raise TriggerRefused(f"The body is not valid: {reason}.") from None


def check_batch(batch: Batch, app: App) -> list[Trigger]:
    """Check a batch against the app's limits; one bad event refuses all. Raises TriggerRefused."""
    bodies = batch.batch
    if batch.idempotency_key is not None:
        check_idempotency_key(batch.idempotency_key)
    if not bodies:
        _refuse("The batch is empty.")
    if len(bodies) > app.max_event_batch_size:
        most = app.max_event_batch_size
        _refuse(f"Batch too large. A batch may hold {most} events at most; this one holds {len(bodies)}.")
    triggers = []
    for number, body in enumerate(bodies):
        try:
            if body.channels is not None:
                _refuse("An event of a batch goes to one channel, given as channel.")
            if batch.idempotency_key is not None and body.idempotency_key is not None:
                _refuse("The batch has an idempotency_key, so its events must not have one.")
            trigger = check(body, app)
            if batch.idempotency_key is not None:
                # No key has a line feed, so no other event has this one.
                once = Once(f"{batch.idempotency_key}\n{number}", _digest_of(trigger))
                trigger = msgspec.structs.replace(trigger, once=once)
            triggers.append(trigger)
        except TriggerRefused as fault:
            raise type(fault)(f"Event {number} of the batch: {fault.reason}") from None
    return triggers


def check(body: Body, app: App) -> Trigger:
    """Check one event against the app's limits. Raises TriggerRefused, or DataTooLarge for its data."""
    if not body.name:
        _refuse("The event name is empty.")
    if len(body.name) > app.max_event_name_length:
        _refuse(f"The event name is longer than the allowed {app.max_event_name_length} characters.")
    if body.socket_id is not None and not SOCKET_ID.fullmatch(body.socket_id):
        _refuse("The socket_id is not of the form N.N.")
    trigger = Trigger(
        body.name,
        _checked_data(body.data, app),
        _checked_channels(body, app),
        body.socket_id,
        parse_info(body.info),
    )
    if body.idempotency_key is not None:
        check_idempotency_key(body.idempotency_key)
        once = Once(body.idempotency_key, _digest_of(trigger))
        trigger = msgspec.structs.replace(trigger, once=once)
    return trigger


def _digest_of(trigger: Trigger) -> str:
    return digest_of(trigger.name, trigger.data, trigger.channels, trigger.socket_id)


def check_idempotency_key(key: str) -> None:
    """Raise TriggerRefused for an empty or long key, and for one with other characters than printable ASCII."""
    if not 1 <= len(key) <= LONGEST_KEY:
        _refuse(f"An idempotency_key must have 1 to {LONGEST_KEY} characters.")
    if not key.isascii() or not key.isprintable():
        _refuse("An idempotency_key may have printable ASCII characters only.")


def parse_info(info: str | None, known: tuple[str, ...] = INFO_ATTRIBUTES) -> tuple[str, ...]:
    """Read a comma-separated list of info attributes. Raises TriggerRefused for an unknown one."""
    attributes = tuple(part.strip() for part in info.split(",") if part.strip()) if info else ()
    for attribute in attributes:
        if attribute not in known:
            _refuse(f"The info attribute {attribute!r} is unknown; there are {', '.join(known)}.")
    return attributes


def _checked_channels(body: Body, app: App) -> tuple[str, ...]:
    """Return the distinct channels of an event, in their order."""
    names = body.channels if body.channels is not None else [body.channel] if body.channel is not None else []
    if not names:
        _refuse("The event has no channel.")
    if len(names) > app.max_event_channels_at_once:
        _refuse(f"An event may go to {app.max_event_channels_at_once} channels at most; this one names {len(names)}.")
    for name in names:
        fault = channels.name_fault(name, app.max_channel_name_length)
        if fault is not None:
            _refuse(fault)
    distinct = tuple(dict.fromkeys(names)) if len(names) > 1 else (names[0],)
    if len(distinct) > 1 and any(channels.kind_of(name).encrypted for name in distinct):
        _refuse("An event for an encrypted channel cannot go to further channels.")
    return distinct


def _checked_data(raw: msgspec.Raw, app: App) -> bytes:
    """Return the data as a JSON string literal: a string unchanged, any other value as its compact JSON text."""
    data, most = bytes(raw), app.max_event_payload
    if data[:1] == b'"':
        try:
            text = _text.decode(data)
        except msgspec.DecodeError:
            text = _decoded_text(data)
        size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    else:
        try:
            compact = msgspec.json.format(data, indent=-1)
        except (msgspec.DecodeError, RecursionError):
            compact = _compact(data)
        size = len(compact)
        if size > most:
            size = grammar.size(compact)
        data = messages.literal(compact.decode())
    if size > most:
        reason = f"The data content of this event exceeds the allowed maximum ({most} bytes)."
        reason += f" The event data has {size} bytes; the app allows {most}."
        raise DataTooLarge(reason)
    return data


def _decoded_text(data: bytes) -> str:
    """Decode a string that msgspec refuses. Raises TriggerRefused if it is not JSON."""
    try:
        return str(grammar.value(data.decode()))
    except ValueError as reason:
        _refuse_body(str(reason))


def _compact(data: bytes) -> bytes:
    """Remove the white space of JSON that msgspec refuses. Raises TriggerRefused if it is not JSON."""
    try:
        grammar.check(data.decode())
    except ValueError as reason:
        _refuse_body(str(reason))
    return grammar.compact(data)


def _refuse(reason: str) -> NoReturn:
    raise TriggerRefused(reason)
