#!/bin/sh
# Exits 0 where redis-server is found, or can be installed. RUNLEVEL keeps Debian from starting it.
command -v redis-server >/dev/null 2>&1 && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
        apt-get install -qq --yes --no-install-recommends redis-server >/dev/null && exit 0
fi

echo 'The tests of many nodes need redis-server, 6 or later: install it (on Debian: sudo apt-get install redis-server).' >&2
exit 1
