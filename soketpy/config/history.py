"""The settings of history: the store of the logs, the limits of a process, and the replay to clients that return."""

from dataclasses import dataclass

from soketpy.config.bounds import LONGEST
from soketpy.core.fields import setting

MOST_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The stored events of all apps. Which channels have history is a setting of each app."""

    store: str = setting(
        "auto",
        "Where the logs are. auto: a file (sqlite), or redis in a cluster. memory: lost at a restart.",
        choices=("auto", "memory", "sqlite", "redis"),
    )
    path: str = setting(
        "soketpy-history.db",
        "The file of the store sqlite, on a local disk. Created with the first event. Only one server may use it.",
    )
    app_mib: float = setting(
        64,
        "Most MiB of all logs of an app. Beyond it, the logs that are unchanged for longest are dropped.",
        most=MOST_MIB,
    )
    mib: float = setting(256, "Most MiB of all logs of a process, of all apps. Redis has its own limit.", most=MOST_MIB)
    resume_window: float = setting(
        300,
        "Seconds after a disconnect in which a client can resume its channels. pusher-js may need 166 s to return.",
        most=LONGEST,
    )
    replay_events: int = setting(1_000, "Most events that a client gets for one channel when it resumes.", most=100_000)
    replay_kib: float = setting(512, "Most KiB that a client gets for one channel when it resumes.", most=MOST_MIB)
    idempotency_window: float = setting(
        120, "Seconds for which the answer to an idempotency_key is kept.", most=LONGEST
    )
