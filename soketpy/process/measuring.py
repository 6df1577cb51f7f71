"""The measures of a server: everything that its metrics say besides the traffic of apps and webhooks."""

import platform
from collections.abc import Mapping
from importlib import metadata
from types import MappingProxyType

from soketpy.core.containment import failures
from soketpy.core.histograms import Histogram
from soketpy.core.history import LogCounts
from soketpy.core.measures import Labels, Measure, Measures, Value, by, of
from soketpy.core.node import UNKNOWN_CODE, Node
from soketpy.core.ports import Links
from soketpy.core.traffic import RegistryCounts
from soketpy.process.reloads import Reloads
from soketpy.web.memory import memory
from soketpy.web.rest import Rest

LIMITS = (
    "max_backend_events_per_second",
    "max_client_events_per_second",
    "max_connects_per_second",
    "max_read_requests_per_second",
    "max_total_client_events_per_second",
)
"""The rate limits that refuse something. Their counters begin at 0, so that the first refusal is an increase."""


def of_node(node: Node) -> Measures:
    """Return the measures of the connections and channels of this process."""
    refusals, codes = node.refusals, {str(code): number for code, number in node.closes.items() if code}
    other = node.closes[UNKNOWN_CODE]
    subscriptions: dict[Labels, Value] = {
        (reason, str(status)): number for (reason, status), number in refusals.subscriptions.items()
    }
    kinds = {kind: number for kind, number in node.hub.kinds.items() if kind != "internal"}
    return Measures(
        (
            Measure("failures", "counter", "Faults that were contained; each is a bug.", of(failures.count)),
            Measure(
                "refused_connections",
                "counter",
                "WebSocket connections that were refused, by close code.",
                by({int(code): number for code, number in refusals.connections.items()}),
                ("code",),
            ),
            Measure(
                "closed_connections",
                "counter",
                "WebSocket connections that ended, by close code.",
                by({**codes, **({"other": other} if other else {})}),
                ("code",),
            ),
            Measure(
                "slow_readers_closed",
                "counter",
                "Connections that were closed with 4100 because the client read too slowly.",
                of(node.slow_readers),
            ),
            Measure("failed_tls_handshakes", "counter", "TLS handshakes that failed.", of(refusals.tls_handshakes)),
            Measure(
                "refused_subscriptions",
                "counter",
                "Subscriptions that were refused, by the type and the status of the error.",
                subscriptions,
                ("reason", "status"),
            ),
            Measure(
                "rate_limited",
                "counter",
                "Calls, connections and client events that a rate limit of an app refused, by the limit.",
                by({**dict.fromkeys(LIMITS, 0), **refusals.limits}),
                ("limit",),
            ),
            Measure(
                "subscriptions_waiting",
                "gauge",
                "Subscriptions that wait because of a rate limit.",
                of(node.waiting_subscriptions),
            ),
            Measure("channels", "gauge", "Channels with a subscriber in this process, by kind.", by(kinds), ("kind",)),
            Measure(
                "fan_out_seconds",
                "histogram",
                "Time from the publishing of the first event of a flush to the last write, of some flushes.",
                of(node.hub.fan_outs),
            ),
        )
    )


def of_rest(rest: Rest) -> Measures:
    """Return the measures of the REST API."""
    calls = rest.calls
    answers: dict[Labels, Value] = {
        (endpoint, str(int(status))): number
        for endpoint, each in calls.items()
        for status, number in each.statuses.items()
    }
    return Measures(
        (
            Measure(
                "rest_requests",
                "counter",
                "Answers to HTTP requests.",
                answers,
                ("endpoint", "status"),
            ),
            Measure(
                "rest_request_seconds",
                "histogram",
                "Time from the complete request to its answer.",
                {(endpoint,): each for endpoint, each in calls.items()},
                ("endpoint",),
            ),
            Measure("rest_calls_waiting", "gauge", "Calls without an answer yet.", of(rest.under_way)),
        )
    )


def of_cluster(links: Links, events_waiting: int) -> Measures:
    """Return the measures of the connections to the other nodes, and of the events that wait for a queue."""
    waiting = links.events + events_waiting
    return Measures(
        (
            Measure("redis_links", "gauge", "Connections to Redis that there should be.", of(links.expected)),
            Measure("redis_links_up", "gauge", "Connections to Redis that work now.", of(links.up)),
            Measure(
                "redis_round_trip_seconds", "histogram", "Round trips of the heartbeat to Redis.", of(links.round_trips)
            ),
            Measure("redis_writes_waiting", "gauge", "Writes that wait for Redis or are in flight.", of(links.writes)),
            Measure("cluster_nodes", "gauge", "Living nodes that this node knows.", of(links.nodes), merge="highest"),
            Measure("webhook_events_waiting", "gauge", "Events that wait for the queue of webhooks.", of(waiting)),
            Measure(
                "redis_dropped_events",
                "counter",
                "Events for webhooks that were lost because too many waited for Redis.",
                of(links.dropped),
            ),
        )
    )


def of_history(node: Node, counts: LogCounts) -> Measures:
    """Return the measures of the logs of channels with history."""
    read, gaps = node.history, node.sequences
    return Measures(
        (
            Measure("history_logs", "gauge", "Logs of channels with history in this server.", of(counts.logs)),
            Measure("history_bytes", "gauge", "Bytes of these logs, about.", of(counts.size)),
            Measure("history_stored_events", "counter", "Events that were given to the logs.", of(counts.stored)),
            Measure("history_read_events", "counter", "Stored events that were read.", of(read.events)),
            Measure(
                "history_incomplete_reads",
                "counter",
                "Reads of a log that lacks events next to the position of the reader.",
                of(read.incomplete),
            ),
            Measure(
                "history_dropped_logs",
                "counter",
                "Logs that were dropped because all logs of an app, or all together, had too many bytes.",
                of(counts.dropped),
            ),
            Measure("history_gaps", "counter", "Gaps between stored events that this node found.", of(gaps.gaps)),
            Measure(
                "history_unfilled_gaps",
                "counter",
                "Gaps that could not be filled, so that the subscribers of the channel were closed.",
                of(gaps.unfilled),
            ),
        )
    )


def of_registry(counts: RegistryCounts) -> Measures:
    """Return the measures of the cache of apps in a database."""
    return Measures(
        (
            Measure("app_registries", "gauge", "Processes whose apps are in a database.", of(counts.in_use)),
            Measure("app_registries_up", "gauge", "Of these, processes whose database answers.", of(counts.available)),
            Measure("apps_cached", "gauge", "Apps that are read from the database and cached now.", of(counts.cached)),
            Measure("app_queries", "counter", "Queries for apps in the database.", of(counts.queries)),
            Measure("app_waits", "counter", "Lookups of apps that waited for a query.", of(counts.waits)),
        )
    )


def of_certificate(expiry: float | None) -> Measures:
    """Return the measure of the certificate that this process serves, if it serves one."""
    values = {} if expiry is None else of(expiry)
    what = "Unix time at which the certificate of the main port expires."
    return Measures((Measure("tls_certificate_expiry_seconds", "gauge", what, values, merge="lowest"),))


def of_supervision(
    workers: int, running: int, reloads: Reloads, replaced: Mapping[str, int] = MappingProxyType({})
) -> Measures:
    """Return the measures of the process that serves the metrics, which are not added to those of other processes.

    ``replaced`` has the number of workers that were replaced, by the reason: ``ended`` or ``hung``.
    """
    results = {"applied": reloads.applied, "refused": reloads.refused}
    return Measures(
        (
            Measure("workers", "gauge", "Processes that should serve clients.", of(workers)),
            Measure("workers_running", "gauge", "Processes that serve clients, and answer.", of(running)),
            Measure(
                "workers_replaced",
                "counter",
                "Workers that were replaced because they ended or hung.",
                by({"ended": 0, "hung": 0, **replaced}),
                ("reason",),
            ),
            Measure("config_reloads", "counter", "Reloads of the configuration, by result.", by(results), ("result",)),
            Measure(
                "config_last_reload_seconds",
                "gauge",
                "Unix time of the last reload that was applied, or of the start.",
                of(reloads.last),
            ),
        )
    )


def installed_version() -> str:
    """Return the version of the installed package."""
    try:
        return metadata.version("soketpy")
    except metadata.PackageNotFoundError:  # run from its source, without an installation
        return "unknown"


def of_event_loop(delays: Histogram) -> Measures:
    """Return the measure of the event loop of this process."""
    what = "Lateness of a timer of the event loop, ten times a second."
    return Measures((Measure("event_loop_delay_seconds", "histogram", what, of(delays)),))


def of_process() -> Measures:
    """Return the measures of this process that the system knows."""
    import resource  # not at the top: the import of descriptors says on which systems it is missing

    used, usage, now = resource.getrusage(resource.RUSAGE_SELF), memory(), platform.python_version()
    build: dict[Labels, Value] = {(installed_version(), now): 1}
    return Measures(
        (
            Measure("cpu_seconds", "counter", "CPU time of all processes.", of(used.ru_utime + used.ru_stime)),
            Measure("memory_bytes", "gauge", "Resident memory of all processes.", of(usage.used)),
            Measure("memory_limit_bytes", "gauge", "Memory that may be used.", of(usage.total), merge="highest"),
            Measure("build_info", "gauge", "1, with the versions as labels.", build, ("version", "python"), "highest"),
        )
    )
