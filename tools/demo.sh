#!/usr/bin/env bash
# `make demo`: synthetic faces -> checked -> packed -> trained on, with purification and without. Two arguments: the virtual
# environment's bin, a folder.
set -euo pipefail
bin=$1 out=$2

say() { printf '\n== %s\n' "$1"; }

rm -rf "$out"
mkdir -p "$out"

say "1,200 clips of painted faces; a fifth of the training labels wrong, a fifth of its clips unusable"
"$bin/sciu-data" synth "$out/faces" --clips 1200 --mislabel 0.2 --low-quality 0.2

say "Every frame of every clip decoded and looked at"
"$bin/sciu-data" check "$out/faces" --decode

say "Packed into one size and codec for fast decoding"
"$bin/sciu-data" pack "$out/faces" --out "$out/packed" --size 72 --codec mjpeg
"$bin/sciu-data" info "$out/packed"

train() { "$bin/sciu-train" "$out/packed" --preset demo --pipeline dali --evaluate-every 4 "$@"; }

say "Trained on as they are"
train --out "$out/runs/plain" --method plain

say "Trained on by SCIU, which prunes and corrects while it trains"
train --out "$out/runs/sciu" --method sciu

say "Trained on again from the beginning: what SCIU kept, under the labels that it came to believe in"
train --out "$out/runs/cleaned" --method plain --labels-from "$out/runs/sciu"

say "What purification found and won (test clips are clean; the last epoch, nothing chosen on them)"
"$bin/sciu-experiment" compare "$out/runs/plain" "$out/runs/sciu" "$out/runs/cleaned"

say "What was decided, epoch by epoch, and why"
"$bin/sciu-purify" status "$out/runs/sciu"
"$bin/sciu-purify" list "$out/runs/sciu" --what corrected --limit 5

cat <<END

Where to look: $out/faces/truth.csv (what was planted), $out/runs/sciu (summary.json, index/, purifier/, checkpoints/);
sciu-purify list $out/runs/sciu --what corrected --sort margin (which labels, and why).
tensorboard --logdir $out/runs shows counts, histograms, and the clips that were pruned and corrected.
END
