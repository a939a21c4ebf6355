#!/usr/bin/env bash
# `make demo`: synthetic faces -> checked -> packed -> learned from. Two arguments: the virtual environment's bin, a folder.
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
"$bin/sciu-data" pack "$out/faces" --out "$out/packed" --size 64 --codec mjpeg
"$bin/sciu-data" info "$out/packed"

say "What a network learns from them: labels as they are, planted faults included"
"$bin/sciu-experiment" learnable "$out/packed" --epochs 16

cat <<END

Where to look: $out/faces/dataset.toml and clips.parquet (the dataset), truth.csv (what was planted),
$out/faces/media (the clips). Training with purification joins this demonstration as soon as the trainer lands.
END
