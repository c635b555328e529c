# docs/coverage.md names a test for each row of what is promised, and is up to date:
# sh coverage_test.sh SOURCE BUILD

command -v python3 >/dev/null || exit 77
exec python3 "${1:?usage: coverage_test.sh SOURCE BUILD}/tests/coverage/coverage.py" "$1"
