#!/bin/sh
# Exits with 0 if nginx and Caddy are installed or can be installed. RUNLEVEL keeps Debian from starting them.
found() { PATH="$PATH:/usr/sbin" command -v nginx >/dev/null 2>&1 && command -v caddy >/dev/null 2>&1; }

found && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
        apt-get install -qq --yes --no-install-recommends nginx-light caddy >/dev/null && found && exit 0
fi

echo 'The tests of the examples need nginx and Caddy. Install them (on Debian: sudo apt-get install nginx-light caddy).' >&2
exit 1
