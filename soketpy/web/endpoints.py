"""The endpoints of the REST API: one operation per path.

Source: Pusher's HTTP API reference. Where the reference says nothing, soketi 1.6.1, which adds ``subscription_count``
and ``occupied`` to every channel.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine, Mapping, Sequence
from http import HTTPStatus
from itertools import islice
from time import monotonic
from typing import Any

import msgspec

from soketpy.core.apps import App
from soketpy.core.containment import attempt, contain
from soketpy.core.history import MOST_READ, Query, rule_of
from soketpy.core.idempotency import KeyReused
from soketpy.core.node import Node
from soketpy.core.ports import RateLimiter, Unavailable
from soketpy.core.replays import NO_HISTORY, BadQuery, document, query_of
from soketpy.core.triggers import Body, check, check_batch, parse_batch, parse_event, parse_info
from soketpy.protocol import channels, ids
from soketpy.protocol.channels import Kind
from soketpy.protocol.requests import parse_query
from soketpy.web.answers import Answer
from soketpy.web.authentication import Call
from soketpy.web.errors import RequestError, bad_request, stopping

log = logging.getLogger("soketpy.http")

SLICE_SIZE = 500
"""Channels that are listed in one iteration of the event loop: up to two milliseconds."""

_FORM = "application/x-www-form-urlencoded"

Operation = Callable[[Call, bytes], Coroutine[Any, None, Answer]]
"""Serves an authenticated call with its body; a coroutine for ``steps``."""


class Endpoints:
    """The operations. A call that is refused changes nothing: the operation raises RequestError or TriggerRefused.

    An operation raises Unavailable if this node cannot reach other nodes. ``Call.published`` says whether the call has
    changed something before that.
    """

    def __init__(self, node: Node, limiter: RateLimiter) -> None:
        self.stopped = False  # every call has been answered: a call that still waits must not change anything
        self._node = node
        self._limiter = limiter

    async def events(self, call: Call, body: bytes) -> Answer:
        """Trigger one event on one or more channels."""
        app = call.app
        trigger = check(_event_of(call, body), app)
        if trigger.once is not None and (answer := await self._repeated(call, trigger.once.key)) is not None:
            return answer
        headers = await self._spend(app, "backend events", len(trigger.channels), app.max_backend_events_per_second)
        if app.id in self._node.full:
            await self._node.room(app.id)
        if self.stopped:  # the call was answered while it waited
            raise stopping()
        receipt = self._node.publish(app, trigger)
        call.published = len(trigger.channels)
        if receipt is not None:
            call.sent = monotonic()
            await receipt
            call.confirmed = monotonic()
        value: dict[str, object] = {}
        if trigger.info:
            value["channels"] = await self._attributes_of_published(app, trigger.channels, trigger.info, monotonic())
        if trigger.once is not None:
            self._remember(call, trigger.once.key, value)
        return Answer(value, headers=headers)

    async def batch_events(self, call: Call, body: bytes) -> Answer:
        """Trigger several events; one invalid event refuses all."""
        app = call.app
        batch = parse_batch(body)
        triggers = check_batch(batch, app)
        key = batch.idempotency_key
        if key is not None and (answer := await self._repeated(call, key)) is not None:
            return answer
        headers = await self._spend(app, "backend events", len(triggers), app.max_backend_events_per_second)
        if app.id in self._node.full:
            await self._node.room(app.id)
        if self.stopped:  # the call was answered while it waited
            raise stopping()
        receipt = self._node.publish(app, *triggers)
        call.published = len(triggers)
        if receipt is not None:
            call.sent = monotonic()
            await receipt
            call.confirmed = monotonic()
        value: dict[str, object] = {}
        if any(trigger.info for trigger in triggers):
            since, info = monotonic(), list[dict[str, object]]()
            for trigger in triggers:
                info += (await self._attributes_of_published(app, trigger.channels, trigger.info, since)).values()
            value["batch"] = info
        if key is not None:
            self._remember(call, key, value)
        return Answer(value, headers=headers)

    async def _repeated(self, call: Call, key: str) -> Answer | None:
        """Return the answer to an earlier call with the same idempotency key, or None.

        Raises Unavailable, and KeyReused if the earlier call had another body.
        """
        found = await self._node.answers.find(call.app.id, key)
        if found is None:
            return None
        digest, _, answer = found.partition(b" ")
        if digest.decode() != call.given.get("body_md5", ""):
            raise KeyReused
        return Answer(msgspec.Raw(answer))

    def _remember(self, call: Call, key: str, value: dict[str, object]) -> None:
        """Remember the answer to a call with an idempotency key, and the MD5 of its body."""
        answer = call.given.get("body_md5", "").encode() + b" " + msgspec.json.encode(value)
        attempt(log, self._node.answers.put, call.app.id, key, answer)

    async def _attributes_of_published(
        self, app: App, names: Sequence[str], wanted: tuple[str, ...], since: float
    ) -> dict[str, dict[str, object]]:
        """Return the attributes of channels on which events were published, or none if they cannot be read.

        The events are published, so the call has succeeded: a publisher that sees an error would send them again.
        """
        try:
            return await self._attributes(app, names, wanted, since)
        except Unavailable:
            return {name: {} for name in names}
        except Exception as fault:
            contain(log, fault, "App %s: the attributes of channels could not be read", app.id)
            return {name: {} for name in names}

    async def _attributes(
        self, app: App, names: Sequence[str], wanted: tuple[str, ...], since: float
    ) -> dict[str, dict[str, object]]:
        """Return the requested attributes of channels, without those that do not exist for a channel's kind.

        ``since`` is the time at which the call began to read.
        """
        attributes: dict[str, dict[str, object]] = {name: {} for name in names}
        if "user_count" in wanted:
            presence = [name for name in names if channels.kind_of(name).presence]
            counts = await self._node.roster.member_counts(app.id, presence, since)
            for name, count in zip(presence, counts, strict=True):
                attributes[name]["user_count"] = count
        if "subscription_count" in wanted:
            counts = await self._node.roster.counts(app.id, names, since)
            for name, count in zip(names, counts, strict=True):
                attributes[name]["subscription_count"] = count
        return attributes

    async def channels(self, call: Call, body: bytes) -> Answer:
        """List the occupied channels."""
        headers = await self._spend(call.app, "reads", 1, call.app.max_read_requests_per_second)
        prefix = call.given.get("filter_by_prefix") or ""
        wanted = _wanted(call, ("user_count", "subscription_count"))
        if "user_count" in wanted and not prefix.startswith(channels.PRESENCE_PREFIX):
            bad_request(_NEEDS_PREFIX)
        since = monotonic()
        counts = await self._node.roster.channels(call.app.id, prefix, since)
        parts: list[bytes] = []
        items, more = iter(counts.items()), True
        while more:
            listed: dict[str, dict[str, object]] = {
                name: {"occupied": True, "subscription_count": count} for name, count in islice(items, SLICE_SIZE)
            }
            more = len(listed) == SLICE_SIZE
            if "user_count" in wanted:
                found = await self._attributes(call.app, list(listed), ("user_count",), since)
                for name, attributes in found.items():
                    listed[name] |= attributes
            if listed:
                parts.append(msgspec.json.encode(listed)[1:-1])
            if more:
                await asyncio.sleep(0)  # otherwise a list of very many channels would keep all clients waiting
        return Answer(msgspec.Raw(b'{"channels":{%b}}' % b",".join(parts)), headers=headers)

    async def channel(self, call: Call, body: bytes) -> Answer:
        """Return the state of one channel."""
        headers = await self._spend(call.app, "reads", 1, call.app.max_read_requests_per_second)
        app, (channel,) = call.app, call.arguments
        kind = _kind_of(channel, app)
        wanted = _wanted(call, ("user_count", "subscription_count", "cache"))
        if "user_count" in wanted and not kind.presence:
            bad_request("Cannot retrieve the user count unless the channel is a presence channel.")
        if "cache" in wanted and not kind.cache:
            bad_request("cache is only for cache channels.")
        both = ("subscription_count", "user_count")
        attributes = (await self._attributes(app, [channel], both, monotonic()))[channel]
        value: dict[str, object] = {"occupied": attributes["subscription_count"] != 0, **attributes}
        if "cache" in wanted:
            value["cache"] = await self._cached(app, channel)
        return Answer(value, headers=headers)

    async def _cached(self, app: App, channel: str) -> dict[str, object] | None:
        event = await self._node.cache.get(app.id, channel)
        if event is None:
            return None
        return {"data": msgspec.Raw(event.data), "ttl": self._node.cache.ttl(event)}

    async def users(self, call: Call, body: bytes) -> Answer:
        """List the members of a presence channel."""
        headers = await self._spend(call.app, "reads", 1, call.app.max_read_requests_per_second)
        (channel,) = call.arguments
        if not _kind_of(channel, call.app).presence:
            bad_request("Users can only be retrieved for presence channels.")
        with_info = call.given.get("with_user_info") == "1"
        users: list[dict[str, object]] = []
        for member in await self._node.roster.members(call.app.id, channel):
            user: dict[str, object] = {"id": msgspec.Raw(ids.literal(member.user_id))}
            if with_info:
                user["user_info"] = msgspec.Raw(member.info or b"null")
            users.append(user)
        return Answer({"users": users}, headers=headers)

    async def history(self, call: Call, body: bytes) -> Answer:
        """Return a part of the log of a channel."""
        headers = await self._spend(call.app, "reads", 1, call.app.max_read_requests_per_second)
        app, (channel,) = call.app, call.arguments
        _kind_of(channel, app)
        rule = rule_of(app.history, channel)
        if rule is None:
            raise RequestError(HTTPStatus.NOT_FOUND, NO_HISTORY)
        query = _query(call.given)
        page = await self._node.history.read(app.id, channel, rule, query)
        newest_first = call.given.get("direction") == "backwards"
        return Answer(document(page, newest_first=newest_first), headers=headers)

    async def terminate(self, call: Call, body: bytes) -> Answer:
        """Close all connections of a user."""
        await self._node.room(call.app.id)
        if self.stopped:  # the call was answered while it waited
            raise stopping()
        receipt = self._node.terminate(call.app.id, call.arguments[0])
        call.published = 1
        if receipt is not None:
            call.sent = monotonic()
            await receipt
            call.confirmed = monotonic()
        return Answer({})

    async def _spend(self, app: App, what: str, cost: int, limit: int | None) -> dict[str, str]:
        """Take the cost of a call from the rate limit of its app. Return headers with the rest. Raises RequestError."""
        if limit is None:
            return {}
        if cost > limit:
            # Not 429, which asks the caller to retry: every retry would be refused too.
            reason = f"The call costs {cost} {what}, and the app may have only {limit} a second: send fewer at once."
            raise RequestError(HTTPStatus.BAD_REQUEST, reason)
        try:
            allowance = await self._limiter.take(app.id, what, cost, limit)
        except Unavailable as fault:
            raise RequestError(HTTPStatus.SERVICE_UNAVAILABLE, str(fault)) from None
        headers = {"X-RateLimit-Limit": str(allowance.limit), "X-RateLimit-Remaining": str(allowance.remaining)}
        if not allowance.allowed:
            self._node.refusals.limits[_LIMITS[what]] += 1
            headers["Retry-After"] = str(max(1, math.ceil(allowance.retry_after)))
            reason = f"Too many requests: the app may have {limit} {what} a second."
            raise RequestError(HTTPStatus.TOO_MANY_REQUESTS, reason, headers)
        return headers


_LIMITS = {"backend events": "max_backend_events_per_second", "reads": "max_read_requests_per_second"}
"""The settings that limit the calls, by what they limit."""

_NEEDS_PREFIX = (
    "user_count may only be requested for presence channels - please supply filter_by_prefix begining with presence-"
    " (for example filter_by_prefix=presence-)."
)
"""Begins with exactly Pusher's text, because client libraries look for it."""


def _wanted(call: Call, known: tuple[str, ...]) -> tuple[str, ...]:
    """Return the attributes that the call asks for."""
    return parse_info(call.given.get("info"), known)


def _query(given: Mapping[str, str]) -> Query:
    """Return the query of a call. Without a direction, it is forwards. Raises RequestError (400)."""
    limit = given.get("limit", "100")
    if not limit.isascii() or not limit.removeprefix("-").isdigit() or len(limit) > 19:
        bad_request(f"The limit must be a whole number from 1 to {MOST_READ}.")
    try:
        return query_of(
            limit=int(limit),
            after=given.get("after"),
            before=given.get("before"),
            direction=given.get("direction", "forwards"),
        )
    except BadQuery as fault:
        bad_request(str(fault))


def _kind_of(channel: str, app: App) -> Kind:
    fault = channels.name_fault(channel, app.max_channel_name_length)
    if fault is not None:
        bad_request(fault)
    return channels.kind_of(channel)


def _event_of(call: Call, body: bytes) -> Body:
    """Read the event of ``POST events`` from its JSON or form-encoded body, or without a body from its query.

    Raises RequestError (400) or TriggerRefused.
    """
    if not body:
        return _event_of_form(call.parameters)
    if call.content_type.lower().startswith(_FORM) and not body.lstrip().startswith(b"{"):
        try:
            return _event_of_form(parse_query(body.decode()))
        except UnicodeDecodeError:
            bad_request("The body is not UTF-8.")
    return parse_event(body)


def _event_of_form(parameters: list[tuple[str, str]]) -> Body:
    form = dict(parameters)
    for name in ("name", "data"):
        if name not in form:
            bad_request(f"The event has no {name}.")
    names = [value for name, value in parameters if name in ("channels[]", "channels")]
    return Body(
        name=form["name"],
        data=msgspec.Raw(msgspec.json.encode(form["data"])),
        channels=names or None,
        channel=form.get("channel"),
        socket_id=form.get("socket_id"),
        info=form.get("info"),
    )
