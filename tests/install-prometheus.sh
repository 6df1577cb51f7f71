#!/bin/sh
# Exits with 0 if prometheus and promtool are installed or can be installed. RUNLEVEL keeps Debian from starting them.
found() {
    command -v prometheus >/dev/null 2>&1 && command -v promtool >/dev/null 2>&1
}

found && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
        apt-get install -qq --yes --no-install-recommends prometheus >/dev/null && found && exit 0
fi

echo 'The tests of the alert rules need prometheus: install it (on Debian: sudo apt-get install prometheus).' >&2
exit 1
