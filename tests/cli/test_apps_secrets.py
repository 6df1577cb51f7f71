"""No secret of an app, no token and no header of a webhook is in the log or in an output that does not need it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.clients.programs import Launched, free_port
from tests.patience import PATIENCE

TOKEN = "a-token-of-the-tests"
HEADER = "a-header-of-a-webhook"
WRONG = "a-wrong-token-of-somebody"
HOOK = {"url": "https://hooks.example/x", "event_types": ["member_added"], "headers": {"X-Token": HEADER}}


def run(form: tuple[str, ...], port: int, token: str) -> str:
    """Run a form of the command over the admin API, and return all that it prints. It may fail."""
    argv = (sys.executable, "-m", "soketpy", "apps", *form, "--admin-url", f"http://127.0.0.1:{port}")
    env = {**os.environ, "SOKETPY_ADMIN_TOKEN": token}
    ended = subprocess.run(argv, env=env, check=False, capture_output=True, text=True, timeout=PATIENCE)
    return ended.stdout + ended.stderr


def test_the_log_of_a_server_has_no_secrets(tmp_path: Path) -> None:
    config, hooks = tmp_path / "soketpy.json", tmp_path / "hooks.json"
    port = free_port()
    settings = {
        "host": "127.0.0.1",
        "port": 0,
        "log": {"level": "debug"},
        "registry": {"driver": "sqlite"},
        "sqlite": {"path": str(tmp_path / "apps.db")},
        "admin": {"enabled": True, "port": port, "tokens": [TOKEN]},
        "webhooks": {"queue": "memory"},
        "timeouts": {"shutdown": 0.2},
    }
    config.write_text(json.dumps(settings))
    hooks.write_text(json.dumps([HOOK]))
    argv = (sys.executable, "-m", "soketpy", "start", "--config", str(config))
    with Launched(*argv, ready="Listening on") as server:
        secrets = set[str]()
        for form in (
            ("add", "--id", "1", f"webhooks=@{hooks}"),
            ("set", "1", "max_connections=5", f"webhooks=@{hooks}"),
            ("set", "1", "max_connections=-7"),
            ("rotate", "1", "--ends-in", "1h"),
            ("show", "1"),
            ("list",),
            ("add", "--id", "1"),
            ("remove", "1", "--yes"),
        ):
            written = run(form, port, TOKEN)
            secrets |= set(re.findall(r"^secret: (.*)$", written, re.M))
            assert HEADER not in written
        run(("list",), port, WRONG)
        log = server.preamble + server.greeting + server.end_and_read()
    assert len(secrets) == 2
    assert "Admin API: removed the app 1" in log
    assert not [secret for secret in (*secrets, TOKEN, WRONG, HEADER) if secret in log]
