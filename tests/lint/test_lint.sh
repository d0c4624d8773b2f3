#!/usr/bin/env bash
# `make lint`, as a test.
exec "$(dirname "$0")/../../scripts/lint.sh"
