"""Podman with a storage of its own, which needs no daemon, no systemd, no registry of images and no cgroups."""

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.packaging.conftest import ROOT

BASE = "localhost/base"
SUITE = "trixie"
"""The release of Debian whose Python is in the base of the image."""

SHARED = ("usr/share/doc", "usr/share/locale", "usr/share/man")
"""Folders of Debian that the base lacks, as the images of Docker do."""

OFFLINE = ["--network", "host", "--cgroups", "disabled", "--no-healthcheck"]
"""Options of a container that uses nothing which a container inside of a virtual machine may lack."""

STRICT = ["--read-only", "--read-only-tmpfs=false", "--cap-drop", "all", "--security-opt", "no-new-privileges"]
"""Options of a container that may do nothing but serve: it can write to its volumes only."""


def problem() -> str | None:
    """Return why this machine cannot build and run images; None if it can."""
    if os.geteuid() != 0:
        return "the tests of the image need root"
    missing = [name for name in ("podman", "crun", "debootstrap", "unshare", "nsenter") if shutil.which(name) is None]
    return f"the tests of the image need {', '.join(missing)}: make test-image" if missing else None


NAMESPACE = """
if test -e /sys/fs/cgroup/unified; then mount -t tmpfs none /sys/fs/cgroup; fi
mount -t tmpfs none "$1" && mkdir "$1/tmp" && echo ready && exec cat
"""
"""Hides the cgroups from crun, which refuses a machine with both versions of them, even for a container without any."""


class Podman:
    """Images and containers in a mount namespace of their own, in memory. Nothing of them outlives the namespace."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        words = ["unshare", "--mount", "sh", "-c", NAMESPACE, "sh", str(folder)]
        self._namespace = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._namespace.stdout is not None
        if self._namespace.stdout.readline() != b"ready\n":
            pytest.skip("the tests of the image need a machine that may mount a file system")

    def words(self, *words: str) -> list[str]:
        """Return a command of podman as words."""
        inside = ["nsenter", f"--target={self._namespace.pid}", "--mount", "env", f"TMPDIR={self._folder}/tmp"]
        podman = ["podman", "--root", f"{self._folder}/root", "--runroot", f"{self._folder}/run"]
        podman += ["--storage-driver", "overlay", "--cgroup-manager", "cgroupfs", "--runtime", "crun"]
        return [*inside, *podman, *words]

    def call(self, *words: str) -> str:
        """Run a command to its end and return its standard output. The test fails if the command fails."""
        done = self.ended(*words)
        assert done.returncode == 0, f"podman {' '.join(words)}\n{done.stdout}{done.stderr}"
        return done.stdout

    def ended(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, also one that fails."""
        return subprocess.run(self.words(*words), capture_output=True, text=True)

    def run(self, image: str, *options: str, words: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        """Run a container to its end."""
        return self.ended("run", "--rm", *OFFLINE, *limits(), *STRICT, *options, image, *words)

    def start(self, name: str, image: str, *options: str) -> None:
        """Start a container that continues to run."""
        self.call("run", "--detach", "--name", name, *OFFLINE, *limits(), *STRICT, *options, image)

    def inspected(self, *words: str) -> dict[str, Any]:
        """Return the description of one image or container."""
        (found,) = json.loads(self.call(*words))
        assert isinstance(found, dict)
        return found

    def remove(self) -> None:
        """End all containers, and remove them and all images with the namespace."""
        self.ended("rm", "--force", "--all", "--time", "0")
        self._namespace.communicate()


def limits() -> list[str]:
    """Return options for the limits of a container. Without them podman sets limits that only a full root may set."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return ["--ulimit", f"nofile={min(files, 4096)}:{min(files, 4096)}", "--ulimit", "nproc=2048:2048"]


def base() -> Path:
    """Return a tar file with a minimal Debian and its Python. It is made once, and then kept in the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "soketpy-tests"
    archive = cache / f"{SUITE}-python.tar"
    if not archive.exists():
        cache.mkdir(parents=True, exist_ok=True)
        folder = cache / f"{SUITE}.{os.getpid()}"
        include = "--include=python3,python3-venv,ca-certificates"
        made = subprocess.run(
            ["debootstrap", "--variant=minbase", include, SUITE, folder], capture_output=True, text=True
        )
        if made.returncode == 0:
            unfinished = folder.with_suffix(f".{os.getpid()}.tar")
            unused = [f"--exclude=./{path}/*" for path in ("var/cache/apt", "var/lib/apt/lists", *SHARED)]
            subprocess.run(["tar", "-C", folder, *unused, "-cf", unfinished, "."], check=True)
            unfinished.rename(archive)
        shutil.rmtree(folder, ignore_errors=True)
        if made.returncode != 0:
            last = (made.stdout + made.stderr).strip().splitlines()[-1:]
            pytest.skip(f"debootstrap cannot make the base of the image here: {last}")
    return archive


def secrets_of_pip(folder: Path) -> list[str]:
    """Return options that give a build this machine's access to the registry of packages, as secrets."""
    listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True)
    found = dict(line.split("=", 1) for line in listed.stdout.splitlines())
    given = {name.rpartition(".")[2]: value.strip("'") for name, value in found.items()}
    names = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout")
    pip = folder / "pip.conf"
    pip.write_text("[global]\n" + "".join(f"{name} = {given[name]}\n" for name in names if name in given))
    options = [f"--secret=id=pip,src={pip}"]
    authorities = given.get("cert", "/etc/ssl/certs/ca-certificates.crt")
    return [*options, f"--secret=id=ca,src={authorities}"] if Path(authorities).exists() else options


def import_base(podman: Podman) -> None:
    """Import the base of the image. Skip the tests on a machine that cannot run a container of it."""
    podman.call("import", str(base()), BASE)
    tried = podman.run(BASE, words=("true",))
    if tried.returncode != 0:
        podman.remove()
        pytest.skip(f"this machine cannot run a container: {tried.stderr.strip()}")


def build(podman: Podman, folder: Path, name: str) -> None:
    """Build the image of the working tree on the base, as the Dockerfile says."""
    options = ["--isolation", "chroot", "--network", "host", "--format", "docker", "--build-arg", f"BASE={BASE}"]
    podman.call("build", *options, *limits(), *secrets_of_pip(folder), "--tag", name, str(ROOT))
