"""nginx and Caddy with the site of a test: without files outside of its folder, and in the foreground."""

import os
import shutil
import sys
from pathlib import Path

from tests.clients.programs import Launched

NGINX = """
user root;
daemon off;
pid {folder}/pid;
error_log stderr notice;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""


def find(program: str) -> str | None:
    """Return the path of a program, which may be in the environment of the tests."""
    own = str(Path(sys.executable).parent)
    return shutil.which(program, path=f"{own}:{os.environ['PATH']}:/usr/sbin")


def path_of(program: str) -> str:
    """Return the path of a program that must be installed."""
    found = find(program)
    assert found is not None, f"{program} is missing: run `make test-deploy` or `make examples`, which install it"
    return found


def run_nginx(folder: Path, site: str) -> Launched:
    """Start nginx with a file as in ``conf.d``."""
    (folder / "site.conf").write_text(site)
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder))
    return Launched(path_of("nginx"), "-c", str(folder / "nginx.conf"), ready="start worker process")


def run_caddy(folder: Path, site: str, *options: str) -> Launched:
    """Start Caddy with a Caddyfile and further global options."""
    lines = ("admin off", "skip_install_trust", *options)
    (folder / "Caddyfile").write_text("".join(["{\n", *(f"\t{line}\n" for line in lines), "}\n", site]))
    command = (path_of("caddy"), "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile"))
    env = {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "HOME": str(folder)}
    return Launched(*command, ready="serving initial configuration", env=env)
