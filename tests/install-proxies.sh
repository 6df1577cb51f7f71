#!/bin/sh
# Exits with 0 if the proxies that are its arguments (nginx, caddy, haproxy) are installed or can be installed.
# RUNLEVEL keeps Debian from starting them.
found() {
    for each; do PATH="$PATH:/usr/sbin" command -v "$each" >/dev/null 2>&1 || return 1; done
}

found "$@" && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    packages=$(echo "$@" | sed 's/nginx/nginx-light/')
    # shellcheck disable=SC2086
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
        apt-get install -qq --yes --no-install-recommends $packages >/dev/null && found "$@" && exit 0
fi

echo "These tests need $*. Install them (on Debian: sudo apt-get install nginx-light caddy haproxy)." >&2
exit 1
