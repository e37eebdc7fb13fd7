#!/usr/bin/env bash
# Everything that waits for a GPU, in one command, from parts that were built beforehand:
#
#     benchmarks/gpu.sh PARTS REPORT.md [DEVICE]
#
# PARTS holds
#   wheels/        crispvl and crispvl_cuda, and what they depend on (pip wheel; for an H100 with
#                  CMAKE_ARGS=-DCMAKE_CUDA_ARCHITECTURES=90-real)
#   goldens/       checkpoints with what the published code computes (verify --golden)
#   model.gguf     to measure, a 1B say, with mmproj.gguf where it is a pair
#   checkpoint/    the same in the -hf layout, for torch; may be absent
#   llama-bench    of llama.cpp with CUDA; may be absent
# Needs no network. Each part has a limit of its own, all together take less than ten minutes; what
# fails is reported, and the rest goes on. The device is cuda; cpu tries the script where no GPU is.
set -uo pipefail

[ $# -ge 2 ] && [ -d "$1/wheels" ] || {
    echo "[gpu] expected a folder with wheels, and a report to write; found ${*:-nothing}" >&2
    exit 2
}
parts=$(cd "$1" && pwd)
report=$2
device=${3:-cuda}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# section TITLE SECONDS COMMAND…: its output and how it ended, as a section of the report
section() {
    local title=$1 limit=$2 status
    shift 2
    echo "== $title" >&2
    timeout "$limit" "$@" >"$work/out" 2>&1
    status=$?
    [ $status -eq 0 ] || failed=$((failed + 1))
    {
        printf '\n## %s\n\n```\n' "$title"
        tail -n 60 "$work/out"
        printf '```\n'
        [ $status -eq 0 ] || printf '\n**Failed: exit status %d** (124: over %d s)\n' $status "$limit"
    } >>"$report"
}

python() { "$work/env/bin/python" "$@"; }
crispvl() { python -m crispvl "$@"; }
export -f python crispvl
export work

printf '# On a GPU, %s\n' "$(date -u +%F)" >"$report"
section "Machine" 20 sh -c 'nvidia-smi || true; nproc; grep -m1 "model name" /proc/cpuinfo'

install() {
    python3 -m venv --system-site-packages "$work/env" &&
        "$work/env/bin/pip" install -q --no-index --find-links "$1" crispvl &&
        { [ "$2" = cpu ] || "$work/env/bin/pip" install -q --no-index --find-links "$1" crispvl-cuda; } &&
        crispvl doctor
}
export -f install
section "Installed" 90 bash -c 'install "$@"' - "$parts/wheels" "$device"

# Every stage of every golden, in each type of file.
parity() {
    local folder kind status=0
    for folder in "$1"/*/; do
        for kind in f32 f16 bf16 q8_0; do
            printf '%s, %s: ' "$(basename "$folder")" $kind
            if crispvl convert --model "$folder" --output "$work/golden.gguf" --dtype $kind \
                >"$work/stages" 2>&1 &&
                crispvl verify "$work/golden.gguf" --golden "$folder" --device "$2" \
                    >"$work/stages" 2>&1; then
                echo passed
            else
                status=1
                cat "$work/stages"
            fi
            rm -f "$work/golden.gguf"
        done
    done
    return $status
}
export -f parity
section "Parity with the published code" 150 \
    bash -c 'parity "$@"' - "$parts/goldens" "$device"

model=(-m "$parts/model.gguf")
[ ! -e "$parts/mmproj.gguf" ] || model+=(--mmproj "$parts/mmproj.gguf")
section "Speed" 120 bash -c 'crispvl bench "$@"' - "${model[@]}" --device "$device" \
    --tiles 1,7,13 --lengths 128,2048 --streams 1,8
[ "$device" = cpu ] || section "Half of the memory on the GPU, the rest on the CPU" 90 \
    bash -c 'crispvl bench "$@"' - "${model[@]}" --max-memory "$device:0=500MiB,cpu=32GiB" \
    --tiles 1 --lengths 512 --streams 1 --runs 1

# More memory than there is has to be told in words, and nothing may crash.
exhaust() {
    crispvl bench "$@" --tiles 1 --lengths 128 --streams 1 --runs 1
    [ $? -eq 2 ]
}
export -f exhaust
section "Too little memory is refused" 60 bash -c 'exhaust "$@"' - "${model[@]}" \
    --max-memory "$([ "$device" = cpu ] && echo cpu || echo "$device:0")=1MiB"

[ ! -x "$parts/llama-bench" ] || section "llama.cpp" 90 \
    "$parts/llama-bench" -m "$parts/model.gguf" -p 128,2048 -n 32 -ngl 99
torch_side() {
    python - "$1" "$2" <<'PYTHON'
import statistics
import sys
import time

import torch
from transformers import AutoModelForImageTextToText

path, device = sys.argv[1:]
model = AutoModelForImageTextToText.from_pretrained(path, dtype=torch.bfloat16).to(device).eval()
side = model.config.vision_config.image_size[0]


def median_s(work, n=5):
    seconds = []
    for _ in range(n):
        started = time.perf_counter()
        work()
        if device != "cpu":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


with torch.inference_mode():
    for n in (1, 7, 13):
        tiles = torch.rand(n, 3, side, side, dtype=torch.bfloat16, device=device)
        print(f"encode {n} tiles: {1000 * median_s(lambda: model.get_image_features(tiles)):.1f} ms")
    for n in (128, 2048):
        ids = torch.randint(0, 1000, (1, n), device=device)
        print(f"prompt of {n}: {n / median_s(lambda: model(input_ids=ids)):.0f} tokens/s")
PYTHON
}
export -f torch_side
[ ! -d "$parts/checkpoint" ] ||
    section "torch, bfloat16" 120 bash -c 'torch_side "$@"' - "$parts/checkpoint" "$device"

printf '\n%d of the sections failed.\n' "$failed" >>"$report"
tail -n 1 "$report"
[ "$failed" -eq 0 ]
