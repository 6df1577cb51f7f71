"""What publishers can ask of an app over REST, one verb each.

Source: Pusher's HTTP API reference; where it is silent, soketi 1.6.1, which adds ``subscription_count`` and
``occupied`` to every channel.
"""

import logging
import math
from collections.abc import Callable, Coroutine, Sequence
from http import HTTPStatus
from time import monotonic
from typing import Any, NoReturn

import msgspec

from soketpy.core.apps import App
from soketpy.core.containment import contain
from soketpy.core.node import Node
from soketpy.core.ports import RateLimiter, Unavailable
from soketpy.core.triggers import RequestError, check, check_batch, parse_info
from soketpy.protocol import channels, ids
from soketpy.protocol.channels import Kind
from soketpy.web.answers import Answer, stopping
from soketpy.web.calls import Call, event_of, events_of

log = logging.getLogger("soketpy.http")

Operation = Callable[[Call, bytes], Coroutine[Any, None, Answer]]
"""Serves a call whose signature holds, with its body; for ``steps``."""


class Api:
    """The verbs. Each raises RequestError for what it cannot serve, and has then changed nothing.

    Raises Unavailable where other nodes cannot be reached; whether the call has then changed something, says
    ``Call.published``.
    """

    def __init__(self, node: Node, limiter: RateLimiter) -> None:
        self.stopped = False  # whether every call has its answer, so that those which still wait must change nothing
        self._node = node
        self._limiter = limiter

    async def events(self, call: Call, body: bytes) -> Answer:
        """Trigger one event on one or more channels."""
        app = call.app
        trigger = check(event_of(call, body), app)
        headers = await self._spend(app, "backend events", len(trigger.channels), app.max_backend_events_per_second)
        if self._node.full(app.id):
            await self._node.room(app.id)
        if self.stopped:  # which answered the call while it waited
            raise stopping()
        self._node.publish(app, trigger)
        call.published = True
        await self._node.sent()
        if not trigger.info:
            return Answer({}, headers=headers)
        attributes = await self._attributes_of_published(app, trigger.channels, trigger.info, monotonic())
        return Answer({"channels": attributes}, headers=headers)

    async def batch_events(self, call: Call, body: bytes) -> Answer:
        """Trigger several events; one that is refused refuses all."""
        app = call.app
        triggers = check_batch(events_of(body), app)
        headers = await self._spend(app, "backend events", len(triggers), app.max_backend_events_per_second)
        if self._node.full(app.id):
            await self._node.room(app.id)
        if self.stopped:  # which answered the call while it waited
            raise stopping()
        self._node.publish(app, *triggers)
        call.published = True
        await self._node.sent()
        if not any(trigger.info for trigger in triggers):
            return Answer({}, headers=headers)
        since, info = monotonic(), list[dict[str, object]]()
        for trigger in triggers:
            info += (await self._attributes_of_published(app, trigger.channels, trigger.info, since)).values()
        return Answer({"batch": info}, headers=headers)

    async def _attributes_of_published(
        self, app: App, names: Sequence[str], wanted: tuple[str, ...], since: float
    ) -> dict[str, dict[str, object]]:
        """Return the attributes of channels on which events were published, or none if nobody can tell them.

        The events are out, so the call has succeeded: a publisher that saw it fail would send them once more.
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
        """Return the attributes of channels that somebody asks for; one that a channel's kind lacks is left out.

        ``since`` is when the readings of the call began.
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
            _bad(_NEEDS_PREFIX)
        since = monotonic()
        counts = await self._node.roster.channels(call.app.id, prefix, since)
        listed: dict[str, dict[str, object]] = {
            name: {"occupied": True, "subscription_count": count} for name, count in counts.items()
        }
        if "user_count" in wanted:
            for name, attributes in (await self._attributes(call.app, list(counts), ("user_count",), since)).items():
                listed[name] |= attributes
        return Answer({"channels": listed}, headers=headers)

    async def channel(self, call: Call, body: bytes) -> Answer:
        """Tell the state of one channel."""
        headers = await self._spend(call.app, "reads", 1, call.app.max_read_requests_per_second)
        app, (channel,) = call.app, call.arguments
        kind = _kind_of(channel, app)
        wanted = _wanted(call, ("user_count", "subscription_count", "cache"))
        if "user_count" in wanted and not kind.presence:
            _bad("Cannot retrieve the user count unless the channel is a presence channel.")
        if "cache" in wanted and not kind.cache:
            _bad("cache is only for cache channels.")
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
            _bad("Users can only be retrieved for presence channels.")
        with_info = call.given.get("with_user_info") == "1"
        users: list[dict[str, object]] = []
        for member in await self._node.roster.members(call.app.id, channel):
            user: dict[str, object] = {"id": msgspec.Raw(ids.literal(member.user_id))}
            if with_info:
                user["user_info"] = msgspec.Raw(member.info or b"null")
            users.append(user)
        return Answer({"users": users}, headers=headers)

    async def terminate(self, call: Call, body: bytes) -> Answer:
        """Close all connections of a user."""
        await self._node.room(call.app.id)
        if self.stopped:  # which answered the call while it waited
            raise stopping()
        self._node.terminate(call.app.id, call.arguments[0])
        call.published = True
        await self._node.sent()
        return Answer({})

    async def _spend(self, app: App, what: str, cost: int, limit: int | None) -> dict[str, str]:
        """Let an app call for so many points; the headers that say how many are left. Raises TooManyRequests."""
        if limit is None:
            return {}
        if cost > limit:
            # Not 429, which asks the caller to come again: that would be refused each time.
            reason = f"The call costs {cost} {what}, and the app may have only {limit} a second: send fewer at once."
            raise RequestError(HTTPStatus.BAD_REQUEST, reason)
        allowance = await self._limiter.take(app.id, what, cost, limit)
        headers = {"X-RateLimit-Limit": str(allowance.limit), "X-RateLimit-Remaining": str(allowance.remaining)}
        if not allowance.allowed:
            headers["Retry-After"] = str(max(1, math.ceil(allowance.retry_after)))
            reason = f"Too many requests: the app may have {limit} {what} a second."
            raise RequestError(HTTPStatus.TOO_MANY_REQUESTS, reason, headers)
        return headers


_NEEDS_PREFIX = (
    "user_count may only be requested for presence channels - please supply filter_by_prefix begining with presence-"
    " (for example filter_by_prefix=presence-)."
)
"""Begins with Pusher's text, letter by letter, since its libraries look for it."""


def _wanted(call: Call, known: tuple[str, ...]) -> tuple[str, ...]:
    """The attributes that a reader asks for."""
    return parse_info(call.given.get("info"), known)


def _kind_of(channel: str, app: App) -> Kind:
    fault = channels.name_fault(channel, app.max_channel_name_length)
    if fault is not None:
        _bad(fault)
    return channels.kind_of(channel)


def _bad(reason: str) -> NoReturn:
    raise RequestError(HTTPStatus.BAD_REQUEST, reason)
