#!/bin/sh
# Runs the quick tests with each Python that is an argument (such as 3.13) and that this machine has, each in an
# environment of its own in build/. Ends with 1 if a test fails, or if the machine has none of them.
export UV_PYTHON_DOWNLOADS=never
# The shims of pyenv fail for each version that is not chosen, so its versions come first.
for folder in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/*/bin; do PATH="$folder:$PATH"; done
uv() { .venv/bin/python -m uv "$@"; }

found=
for each; do
    python=$(uv python find --system "$each" 2>/dev/null) || { echo "Python $each is not on this machine: skipped"; continue; }
    found="$found $each"
    environment=build/python-$each
    echo "Python $each ($python)"
    uv venv --quiet --seed --allow-existing --python "$python" "$environment" &&
        uv pip install --quiet --python "$environment/bin/python" --constraint constraints.txt --editable '.[all,test,dist]' &&
        "$environment/bin/python" -m pytest -q -n 2 --timeout 600 tests/protocol tests/core tests/config tests/process/test_signals.py \
            tests/packaging/test_installs.py::test_the_wheel_runs_where_pip_has_installed_it || exit 1
done
test -n "$found" || { echo "this machine has none of the Pythons $*" >&2; exit 1; }
