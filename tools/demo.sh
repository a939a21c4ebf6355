#!/usr/bin/env bash
# `make demo`: paint faces, check them, train on them with purification and without, twice each, and show the gain and the
# decisions. Arguments: the virtual environment's bin, the output folder.
set -euo pipefail
bin=$1 out=$2

say() { printf '\n== %s\n' "$1"; }

rm -rf "$out"
mkdir -p "$out"

say "Painted faces: a fifth of the training labels wrong, a fifth of the training clips unusable"
"$bin/sciu-experiment" run examples/experiments/demo.toml --out "$out"

faces=$out/data/faces-seed21 run=$out/runs/faces/tiny_lstm/auto/21
say "Every frame of every clip decoded and checked"
"$bin/sciu-data" check "$faces" --decode
"$bin/sciu-data" info "$faces"

say "What purification found and gained (test clips are clean; the last epoch, nothing chosen on them)"
"$bin/sciu-experiment" table "$out"

say "What was decided, epoch by epoch, and why"
"$bin/sciu-purify" status "$run"
"$bin/sciu-purify" list "$run" --what corrected --limit 5
"$bin/sciu-purify" list "$run" --what pruned --limit 5
"$bin/sciu-report" "$run" "$out/runs/faces/tiny_lstm/plain/21" --replace

cat <<END

Files: $run/report.html (every clip that was cleaned, with its history), $faces/truth.csv (what was planted).
Next: $bin/sciu-review $run
      opens a page on which you disagree with decisions, by keyboard;
      $bin/sciu-train $faces --out $run --resume --epochs 60
      trains on with what you decided. tensorboard --logdir $out/runs shows the curves.
END
