#!/usr/bin/env bash
# Makes target/readers, a Python with the programs of others that read what this one writes: DuckDB, the embedded
# ClickHouse, a reader of Zeek's logs. Where they are not to be had it says so and succeeds; the tests then skip.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
place=target/readers
mkdir -p target
if ! [ -x "$place/bin/python3" ]; then
    python3 -m venv "$place" 2>/dev/null || { echo "skipped: python3 makes no venv here"; rm -rf "$place"; exit 0; }
fi
for package in duckdb chdb parsezeeklogs; do
    "$place/bin/python3" -c "import $package" 2>/dev/null && continue
    "$place/bin/python3" -m pip install --quiet --disable-pip-version-check --timeout 30 "$package" ||
        echo "skipped: $package is not to be had from here"
done
exit 0
