"""Apps (tenants): their credentials, switches and limits, and the port to their registry."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache, partial
from typing import Protocol

from soketpy.core.arguments import check_types
from soketpy.core.fields import Field, fields_of, setting, shown
from soketpy.core.history_rules import HistoryRule
from soketpy.core.url_patterns import APP_ID, APP_KEY, SAFE
from soketpy.core.webhooks import Webhook, first_repeated
from soketpy.protocol.origins import BadOrigin, Origins, origin_problem

KIB = 1024
_NO_ORIGINS = Origins(())


@dataclass(frozen=True, slots=True)
class Key:
    """One key and its secret. An app may have several keys, for rotation. ``repr`` does not show the secret.

    ``ends_at`` is the Unix time (in seconds) from which a registry leaves the key out; None for a key without an end.
    Raises TypeError for a value of another type, and ValueError for an empty text.
    """

    key: str = field(
        metadata={
            "help": "The key that clients connect with; public.",
            "pattern": APP_KEY,
            "like": f"text of {SAFE}, and not . or ..",
        }
    )
    secret: str = field(
        repr=False, metadata={"help": "Secret that requests and authorizations are signed with.", "secret": True}
    )
    ends_at: float | None = None

    def __post_init__(self) -> None:
        check_types(self)


class _Derived:
    """Values that an app computes once from its fields."""

    __slots__ = ("max_event_payload", "max_presence_member_size", "origins", "webhook_types")

    origins: Origins
    """The app's ``allowed_origins``, parsed."""

    max_event_payload: int
    """The most bytes that the ``data`` of one event may have."""

    max_presence_member_size: int
    """The most bytes that the ``user_info`` of one presence member may have."""

    webhook_types: frozenset[str]
    """The names of the events that at least one webhook of the app wants."""


@dataclass(frozen=True, slots=True, kw_only=True)
class App(_Derived):
    """One tenant: its credentials, switches and limits. A limit of ``None`` means that there is none.

    Sizes are in KiB (1,024 bytes, as soketi counts its "KB"), lengths in characters, rates in calls a second. A list in
    the place of a tuple becomes a tuple. The constructor raises TypeError for a value of another type than its field
    has, and ValueError for an empty id, an app without keys, a limit below 0, and an allowed origin that no browser can
    send. It takes a limit of 0, which allows nothing; ``app_fields`` has the stricter rules for data from outside.
    """

    id: str = field(
        metadata={
            "help": "The app's id; part of the paths of the REST API.",
            "pattern": APP_ID,
            "like": f"text of {SAFE}&, and not . or ..",
        }
    )
    keys: tuple[Key, ...] = field(
        metadata={"help": "A list of keys and secrets, instead of one key and secret, to rotate them."}
    )
    webhooks: tuple[Webhook, ...] = setting((), "Servers that are notified of events.")
    history: tuple[HistoryRule, ...] = setting((), "Channels whose events are stored, and for how long.")
    enabled: bool = setting(
        True, "While false, connections of the app are refused with 4003 and its requests with 403."
    )
    # switches
    client_events: bool = setting(False, "Allow client events.")
    subscription_count_events: bool = setting(False, "Send subscribers the number of subscribers of their channel.")
    watchlists: bool = setting(True, "Send users the online status of the users on their watchlist.")
    authorized_connections: bool = setting(
        False, "Close connections that neither sign in nor join a private or presence channel in time."
    )
    numeric_ids: bool = setting(
        False, "Keep user ids that are JSON numbers as numbers, as soketi does; otherwise they become strings."
    )
    tls_only: bool = setting(False, "Refuse connections without TLS (4000).")
    close_connections_of_removed_keys: bool = setting(
        True, "At SIGHUP, close (4009) the clients whose key was removed."
    )
    allowed_origins: tuple[str, ...] = setting(
        (), "Origins that browsers may connect from; empty for any.", check_text=origin_problem
    )
    # rates and quotas
    max_connections: int | None = setting(None, "Most connections at the same time; null for no limit.")
    max_connects_per_second: int | None = setting(
        None, "Most new connections a second; null for no limit. Beyond it: 4100."
    )
    max_backend_events_per_second: int | None = setting(
        None, "Most events a second over the REST API; null for no limit."
    )
    max_client_events_per_second: int | None = setting(
        None, "Most client events a second from one connection; null for no limit."
    )
    max_total_client_events_per_second: int | None = setting(
        None, "Most client events a second from all connections together; null for no limit."
    )
    max_subscribes_per_second: int | None = setting(
        200, "Most subscriptions a second from one connection; more of them wait. null for no limit."
    )
    max_total_subscribes_per_second: int | None = setting(
        None, "Most subscriptions a second from all connections together; more of them wait. null for no limit."
    )
    max_read_requests_per_second: int | None = setting(
        None, "Most REST requests a second that read; null for no limit."
    )
    # sizes and lengths
    max_channel_name_length: int = setting(200, "Most characters in a channel's name.")
    max_subscriptions_per_connection: int = setting(1_000, "Most channels that one connection may subscribe to.")
    max_presence_members_per_channel: int = setting(100, "Most members of a presence channel.")
    max_presence_member_size_in_kb: float = setting(2, "Largest user_info of a member, in KiB.")
    max_user_id_length: int = setting(128, "Most characters in a user's id.")
    max_watchlist_size: int = setting(100, "Most users in a user's watchlist.")
    max_event_name_length: int = setting(200, "Most characters in an event's name.")
    max_event_payload_in_kb: float = setting(100, "Largest data of an event, in KiB.")
    max_event_channels_at_once: int = setting(100, "Most channels that one REST request may send an event to.")
    max_event_batch_size: int = setting(10, "Most events in one batch.")

    def __post_init__(self) -> None:
        check_types(self)
        if not self.keys:
            raise ValueError("App.keys must have at least one Key")
        try:
            origins = Origins(self.allowed_origins) if self.allowed_origins else _NO_ORIGINS
        except BadOrigin:
            raise ValueError(_origin_mistake(self.allowed_origins)) from None
        if (repeated := first_repeated(self.webhooks)) is not None:
            raise ValueError(f"App.webhooks[{repeated}] has the target, event types and filter of an earlier webhook")
        object.__setattr__(self, "origins", origins)
        types = frozenset(name for webhook in self.webhooks for name in webhook.event_types)
        object.__setattr__(self, "webhook_types", types)
        object.__setattr__(self, "max_event_payload", int(self.max_event_payload_in_kb * KIB))
        object.__setattr__(self, "max_presence_member_size", int(self.max_presence_member_size_in_kb * KIB))

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the fields only; the rest is derived from them again."""
        return partial(App, **{each.name: getattr(self, each.name) for each in fields(self)}), ()

    def secret_of(self, key: str) -> str | None:
        """Return the secret of ``key``, or None if this app has no such key."""
        for pair in self.keys:
            if pair.key == key:
                return pair.secret
        return None

    def held_key(self, key: str | None) -> str:
        """Return the app's own str equal to ``key``, so that connections share it; the first key if there is none."""
        for pair in self.keys:
            if pair.key == key:
                return pair.key
        return self.key

    @property
    def key(self) -> str:
        """Return the first key, which new clients should use."""
        return self.keys[0].key


TABLES = ("webhooks", "history")
"""The fields of an app whose values are lists of tables. The keys are not among them: they have rules of their own."""


@cache
def limit_fields() -> Mapping[str, Field]:
    """Return the switches and limits of an app, which have defaults: every field but its id and lists of tables."""
    return {name: each for name, each in fields_of(App).items() if name not in ("id", "keys", *TABLES)}


@cache
def app_fields() -> Mapping[str, Field]:
    """Return the fields of an app outside Python: ``id``, ``key`` and ``secret`` or ``keys``, ``TABLES`` and limits.

    Files, variables, databases and APIs have these fields. ``Field.check`` raises an error that names the field.
    """
    fields = fields_of(App)
    lists = {name: fields[name] for name in ("keys", *TABLES)}
    return {"id": fields["id"], **fields_of(Key), **lists, **limit_fields()}


def _origin_mistake(origins: tuple[str, ...]) -> str:
    """Return the error for the first origin that no browser can send."""
    problems = ((at, each, origin_problem(each)) for at, each in enumerate(origins))
    at, bad, problem = next(found for found in problems if found[2] is not None)
    return f"App.allowed_origins[{at}]: {shown(bad)} {problem}"


class Apps(Protocol):
    """The apps that a server knows. ``by_id`` and ``by_key`` never wait: they know the apps that are loaded.

    The coroutines load an app that is not. They are for ``steps`` and for tasks, and raise RegistryUnavailable
    (``core/app_registry.py``) if the database of the apps does not answer.
    """

    def by_id(self, app_id: str) -> App | None:
        """Return the app with this id if it is loaded, else None."""

    def by_key(self, key: str) -> App | None:
        """Return the app that has this key if it is loaded, else None."""

    async def find_by_id(self, app_id: str) -> App | None:
        """Return the app with this id, or None if there is none."""

    async def find_by_key(self, key: str) -> App | None:
        """Return the app that has this key, or None if there is none."""

    async def load(self, ids: Iterable[str]) -> None:
        """Load the apps with these ids, as far as they exist and are valid."""


Load = Callable[[Iterable[str]], Awaitable[None]]
"""Loads the apps with these ids (``Apps.load``)."""


async def all_loaded(ids: Iterable[str]) -> None:
    """Do nothing: the apps of a configuration are always loaded."""


class StaticApps:
    """The apps of the configuration. All of them are always loaded. ``replace`` exchanges all of them in one step."""

    def __init__(self, apps: Iterable[App] = ()) -> None:
        self._by_id: dict[str, App] = {}
        self._by_key: dict[str, App] = {}
        self.replace(apps)

    def replace(self, apps: Iterable[App]) -> None:
        """Replace all apps.

        Raises ValueError, and changes nothing, if two apps share an id or a key.
        """
        by_id: dict[str, App] = {}
        by_key: dict[str, App] = {}
        for app in apps:
            if app.id in by_id:
                raise ValueError(f"two apps have the id {app.id!r}")
            by_id[app.id] = app
            for pair in app.keys:
                if pair.key in by_key:
                    raise ValueError(f"the key {pair.key!r} is given twice")
                by_key[pair.key] = app
        self._by_id, self._by_key = by_id, by_key

    def by_id(self, app_id: str) -> App | None:
        """Return the app with this id, or None."""
        return self._by_id.get(app_id)

    def by_key(self, key: str) -> App | None:
        """Return the app that has this key, or None."""
        return self._by_key.get(key)

    async def find_by_id(self, app_id: str) -> App | None:
        """Return the app with this id, or None."""
        return self._by_id.get(app_id)

    async def find_by_key(self, key: str) -> App | None:
        """Return the app that has this key, or None."""
        return self._by_key.get(key)

    async def load(self, ids: Iterable[str]) -> None:
        """Do nothing."""
