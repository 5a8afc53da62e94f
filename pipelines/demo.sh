#!/usr/bin/env bash
# The main job end to end, as a person would type it. Stops at the first failure.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\n\033[1m%s\033[0m\n$ %s\n' "$1" "$2"; eval "$2"; }

step "1. Two synthetic corpora, features, split, training and evaluation, all under DVC" "dvc repro --quiet"
step "2. Which method recognises unseen speakers best?" "jmml results"
step "3. A small sweep over both stages on Ray Tune, tracked in MLflow" "jmml sweep run demo"
step "4. The sweep's model enters the registry as challenger" "jmml model register"
step "5. Promotion checks its evidence, then makes it champion" "jmml model promote"
step "6. A fresh utterance of a voice that no corpus holds" "jmml data utterance out/fresh.wav --emotion anger --force"
step "7. The champion listens: speech alone, no EEG" "jmml predict out/fresh.wav"

cat <<'NEXT'

What next
  source .venv/bin/activate             puts jmml and dvc on your path
  jmml ui                               compare runs and models in the browser (127.0.0.1)
  dvc metrics show, dvc plots show      the evaluation as DVC sees it
  jmml data add nemo PATH --use         your own recordings (README, "Your own corpora")
  jmml --help                           everything else
NEXT
