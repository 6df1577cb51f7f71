#!/bin/sh
# Compiles actionlint, the checker of workflows, to build/tools/actionlint. Without Go, its test is skipped.
VERSION=v1.7.7
PATH="$PATH:/usr/local/go/bin"

test -x build/tools/actionlint && exit 0
if command -v go >/dev/null 2>&1; then
    GOBIN="$PWD/build/tools" go install "github.com/rhysd/actionlint/cmd/actionlint@$VERSION" && exit 0
    echo 'actionlint cannot be compiled here: its test is skipped.' >&2
    exit 0
fi
echo 'Go is not installed: the test with actionlint is skipped.' >&2
