#!/bin/sh
# Installs what builds and runs images, if this machine can. The tests of the image are skipped where it cannot.
found() { command -v podman >/dev/null 2>&1 && command -v crun >/dev/null 2>&1 && command -v debootstrap >/dev/null 2>&1; }

found && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends podman crun debootstrap >/dev/null
fi
found || echo 'The tests of the image need podman, crun and debootstrap (on Debian: sudo apt-get install podman crun debootstrap).' >&2
exit 0
