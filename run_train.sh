#!/usr/bin/env bash
# From nothing but Python to a trained model, new sounds and similar sounds.
#
#   ./run_train.sh                       the demo sounds, made by the built-in synthesizer
#   ./run_train.sh ~/Samples [NAME]      your own folder
#
# Safe to run again: what is done is kept, and an interrupted training goes on where it was.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

if [ $# -gt 2 ] || [ "${1:-}" = "-h" ] || [ "${1:-}" = "--help" ]; then
  sed -n '2,7s/^# \{0,1\}//p' "$here/run_train.sh" >&2
  [ $# -le 2 ] && exit 0 || exit 2
fi
if [ $# -eq 0 ]; then
  samples=$here/out/demo/sounds
  name=demo
else
  if [ ! -d "$1" ]; then
    echo "No folder $1. Give a folder with audio (wav, aif, flac, ogg, mp3); sub-folders are searched." >&2
    exit 2
  fi
  samples=$(cd "$1" && pwd)
  name=${2:-$(basename "$samples" | tr -cs 'A-Za-z0-9_\n' '_' | sed 's/^_*//; s/_*$//')}
  [ -n "$name" ] && [ "$name" != demo ] || name=library
fi

cd "$here"
./install.sh plots
# A cold TensorFlow or JAX import is mostly the compilation of bytecode: allow it to be kept.
unset PYTHONDONTWRITEBYTECODE
export TF_CPP_MIN_LOG_LEVEL=3
python=.venv/bin/python
run=runs/$name
out=out/$name

mkdir -p runs "$out"
step() { printf '\n== %s\n' "$*" >&2; }

step "1. Dataset: the sounds of $samples as sample_library/$name (starting TensorFlow Datasets takes a moment)"
if [ "$name" = demo ]; then
  [ -d "$samples" ] || "$python" -m pipelines.infer demo "$samples" >/dev/null
  .venv/bin/tfds build tfds_builders/sample_library >/dev/null
else
  config=$("$python" -c 'import json, sys; print(json.dumps({"name": sys.argv[1], "sample_dirs": [sys.argv[2]]}))' "$name" "$samples")
  .venv/bin/tfds build tfds_builders/sample_library --config "$config" >/dev/null
fi

step "2. Training: ends by itself; Ctrl-C keeps what it has, and the same command goes on"
"$python" -m pipelines.train --config experiments/tiny.py --workdir "$run" --dataset "sample_library/$name"

step "3. New sounds: four drawn at random, and a mix of two of yours"
mapfile -d '' -t two < <(find "$samples" -type f \( -iname '*.wav' -o -iname '*.flac' -o -iname '*.ogg' -o -iname '*.aif*' -o -iname '*.mp3' \) ! -name '._*' -print0 | sort -z | awk 'BEGIN { RS = ORS = "\0" } { all[NR] = $0 } END { print all[1]; print all[int(NR / 2) + 1] }')
"$python" -m pipelines.infer generate --model "$run" --num 4 --seed 0 --out "$out/random" --overwrite
"$python" -m pipelines.infer generate --model "$run" --audio-files "${two[@]}" --weights 1 1 --seed 0 --out "$out/mix.wav" --overwrite

step "4. Similar sounds: what in the library is like ${two[0]##*/}"
"$python" -m pipelines.infer similar "${two[0]}" --model "$run" --library-dir "$samples" --num-similar 5 --format table

cat >&2 <<END

Done.
  dataset   ~/tensorflow_datasets/sample_library/$name
  model     $run (curves in $run/plots, audible reconstructions in $run/samples)
  sounds    $out

Next:
  source .venv/bin/activate
  sst generate --model $run --num 8 --out out/more
  sst similar "${two[0]}" --model $run --library-dir "$samples"
END
