#!/bin/sh
# Exits 0 where a Chromium is found, or can be installed; $CHROMIUM names one that is not in PATH.
for name in "${CHROMIUM:-}" chromium chromium-browser google-chrome; do
    if [ -n "$name" ] && command -v "$name" >/dev/null 2>&1; then
        exit 0
    fi
done

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends chromium >/dev/null &&
        exit 0
fi

echo 'The tests need Chromium: install it (on Debian: sudo apt-get install chromium), or set CHROMIUM to its path.' >&2
exit 1
