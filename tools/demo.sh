#!/usr/bin/env bash
# `make demo`: paint faces, train on them with purification and without, with three seeds, and show the gain with its
# uncertainty, and the decisions. Arguments: the virtual environment's bin, the output folder.
set -euo pipefail
bin=$1 out=$2

part=0
say() {
    part=$((part + 1))
    printf '\n== %d of 5, after %d:%02d min: %s\n' "$part" $((SECONDS / 60)) $((SECONDS % 60)) "$1"
}

cat <<END
This demo
  1  paints three datasets of 1,820 faces (a fifth of the training labels wrong, a fifth of the training clips unusable),
     and trains six networks: with and without purification, on each;
  2  checks every frame of the clips;
  3  shows what purification gained, on clean test clips, and what it found;
  4  lists what was decided;
  5  writes a report, to open in a browser.
Part 1 takes nearly all of the time; how long on this machine is printed as soon as its first epochs tell.
END

rm -rf "$out"
mkdir -p "$out"

say "Faces are painted, and networks trained, as many at once as there are cores"
"$bin/sciu-experiment" run examples/experiments/demo.toml --out "$out"

faces=$out/data/faces-seed33 runs=$out/runs/faces/tiny_lstm run=$out/runs/faces/tiny_lstm/auto/33
say "Every frame of every clip of one dataset is decoded and checked"
"$bin/sciu-data" check "$faces" --decode
"$bin/sciu-data" info "$faces"

say "What purification gained and found (the last epoch, nothing chosen on the test clips)"
"$bin/sciu-experiment" table "$out" --metric war --metric war_error --metric uar --metric pruned --metric corrected \
    --metric unusable_precision --metric unusable_recall --metric corrections_right --metric right_touched \
    --metric labels_right_before --metric labels_right

say "What was decided, epoch by epoch, and why"
"$bin/sciu-purify" status "$run"
"$bin/sciu-purify" list "$run" --what corrected --limit 5
"$bin/sciu-purify" list "$run" --what pruned --limit 5

say "A report of it"
"$bin/sciu-report" "$run" "$runs/plain/33" --replace

cat <<END

The demo took $((SECONDS / 60)) min $((SECONDS % 60)) s.
Files: $run/report.html (every clip that was cleaned, with its history), $faces/truth.csv (what was planted).
Next: $bin/sciu-review $run
      opens a page on which you disagree with decisions, by keyboard;
      $bin/sciu-train $faces --out $run --resume --epochs 60
      trains on with what you decided. tensorboard --logdir $out/runs shows the curves.
END
