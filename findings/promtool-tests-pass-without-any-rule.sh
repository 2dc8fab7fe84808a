#!/usr/bin/env bash
# promtool: the tests of alerts pass although the file with the alerts was not found.
#
# Guessed:  `rule_files:` that match nothing are an error of `promtool test rules`.
# Package:  Debian's prometheus 2.42.0+ds-5+deb12u1.
# Instead:  a warning, then SUCCESS and exit 0, as long as every test expects silence. Each
#           "this must not alert" is then true of no rule at all.
# Seen:     WARNING: no file match pattern moved.yml / SUCCESS / exit 0
# Meets it: who keeps the tests that expect silence in a file of their own, and moves or renames
#           the rules: the continuous integration stays green and tests nothing.
# Turnike:  tests silence and each alert in one file, which fails then (run so: exit 1);
#           tests/deploy/test_watching.py runs it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
dpkg-query --show prometheus
cd "$folder"
cat >test.yml <<'YAML'
rule_files: [moved.yml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series: [{series: gate_open, values: "1x10"}]
    alert_rule_test: [{eval_time: 5m, alertname: GateShut, exp_alerts: []}]
YAML
code=0
promtool test rules test.yml >said.txt 2>&1 || code=$?
cat said.txt
echo "exit $code"
test "$code" = 0
grep -q "WARNING: no file match pattern moved.yml" said.txt
grep -q SUCCESS said.txt
