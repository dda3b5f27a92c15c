#!/bin/sh
# Renew the hashed locks: requirements/*.in to *.txt, package.json to package-lock.json. Needs uv and npm on the path.
set -eu
cd "$(dirname "$0")/../requirements"
for name in runtime cloud node dev bench; do
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
        "$@" --output-file "$name.txt" "$name.in"
done
cd ..
npm install --silent --package-lock-only --ignore-scripts
