#!/usr/bin/env bash
# `make demo`: synthetic faces -> checked -> packed -> trained on, with purification and without. Two arguments: the virtual
# environment's bin, a folder.
set -euo pipefail
bin=$1 out=$2

say() { printf '\n== %s\n' "$1"; }

rm -rf "$out"
mkdir -p "$out"

say "700 clips of painted faces; a fifth of the training labels wrong, a fifth of its clips unusable"
"$bin/sciu-data" synth "$out/faces" --clips 700 --mislabel 0.2 --low-quality 0.2

say "Every frame of every clip decoded and looked at"
"$bin/sciu-data" check "$out/faces" --decode

say "Packed into one size and codec for fast decoding"
"$bin/sciu-data" pack "$out/faces" --out "$out/packed" --size 72 --codec mjpeg
"$bin/sciu-data" info "$out/packed"

say "Trained on as they are"
"$bin/sciu-train" "$out/packed" --out "$out/runs/plain" --preset demo --pipeline dali --method plain

say "Trained on by SCIU, which prunes and corrects while it trains"
"$bin/sciu-train" "$out/packed" --out "$out/runs/sciu" --preset demo --pipeline dali --method sciu

say "What purification found and won (the test clips are clean; the last epoch, nothing chosen on them)"
"$bin/sciu-experiment" compare "$out/runs/plain" "$out/runs/sciu"

say "What was decided, epoch by epoch"
"$bin/sciu-purify" status "$out/runs/sciu"
"$bin/sciu-purify" list "$out/runs/sciu" --what corrected --limit 5

cat <<END

Where to look: $out/faces/truth.csv (what was planted), $out/runs/sciu (summary.json, index/, purifier/, checkpoints/);
sciu-purify list $out/runs/sciu --what corrected --sort margin (which labels, and why).
tensorboard --logdir $out/runs shows counts, histograms, and the clips that were pruned and corrected.
END
