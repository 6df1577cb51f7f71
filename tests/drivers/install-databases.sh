#!/bin/sh
# Exits 0 where PostgreSQL and MariaDB are found, or can be installed. RUNLEVEL keeps Debian from starting them.
PATH="$PATH:/usr/sbin"
missing=
command -v mariadbd >/dev/null 2>&1 || missing="$missing mariadb-server"
command -v initdb >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$missing postgresql"
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    # shellcheck disable=SC2086
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
        apt-get install -qq --yes --no-install-recommends $missing >/dev/null && exit 0
fi

echo "The tests of registries of apps need PostgreSQL and MariaDB: install them (on Debian: sudo apt-get install$missing)." >&2
exit 1
