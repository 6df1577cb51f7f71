#!/bin/sh
# Compiles Helm to build/tools/helm, unless Helm is installed. Without Go, the tests of the chart are skipped.
VERSION=v3.22.0
PATH="$PATH:/usr/local/go/bin"

command -v helm >/dev/null 2>&1 && exit 0
test -x build/tools/helm && exit 0
if command -v go >/dev/null 2>&1; then
    echo 'Compiling Helm: this takes some minutes for the first time.'
    GOBIN="$PWD/build/tools" go install "helm.sh/helm/v3/cmd/helm@$VERSION" && exit 0
    exit 1
fi

echo 'Neither helm nor go is installed: the tests of the chart are skipped.' >&2
