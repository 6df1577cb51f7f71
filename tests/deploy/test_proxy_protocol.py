"""PROXY headers of a real proxy of TCP connections."""

import sys
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.clients.programs import Launched
from tests.deploy.ports import launched
from tests.patience import PATIENCE
from tests.proxies import path_of

HAPROXY = """
defaults
    mode tcp
    timeout connect 10s
    timeout client 60s
    timeout server 60s

listen soketpy
    bind 127.0.0.1:{port}
    server one 127.0.0.1:{behind} {option}
"""


@pytest.mark.parametrize("option", ["send-proxy", "send-proxy-v2 proxy-v2-options unique-id"])
def test_the_server_logs_the_client_of_the_header(tmp_path: Path, option: str) -> None:
    env = {
        "SOKETPY_HOST": "127.0.0.1",
        "SOKETPY_PROXIES": "127.0.0.1",
        "SOKETPY_PROXY_PROTOCOL": "true",
        "SOKETPY_LOG_ACCESS": "true",
    }

    def serve(port: int) -> Launched:
        command = (sys.executable, "-m", "soketpy", "start", "--port", str(port))
        return Launched(*command, ready="Listening on", env=env, cwd=tmp_path)

    server, (behind,) = launched(1, serve)
    with server:
        file = tmp_path / "haproxy.cfg"

        def pass_on(port: int) -> Launched:
            file.write_text(HAPROXY.format(port=port, behind=behind, option=option))
            return Launched(path_of("haproxy"), "-W", "-db", "-f", str(file), ready="Loading success")

        proxy, (port,) = launched(1, pass_on)
        with proxy:
            client = HTTPConnection("127.0.0.1", port, timeout=PATIENCE, source_address=("127.0.0.2", 0))
            client.request("GET", "/nothing")
            assert client.getresponse().status == 404
            client.close()
        assert "GET /nothing 404" in (written := server.end_and_read())
        assert " from 127.0.0.2" in written
