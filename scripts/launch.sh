#!/usr/bin/env bash
# Opens the window. Where there is no display it shows what the program does without one: two presets, a video.
set -euo pipefail
cd "$(dirname "$0")/.."

lab=.venv/bin/hnm-lab

if [ "$(uname -s)" != Linux ] || [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then
    exec "$lab" gui
fi

steps=${STEPS:-500}
now=$(date +%Y%m%d-%H%M%S)
echo "There is no display here, so no window. Two presets run instead, and a video is made."
for preset in near-classes digits; do
    echo
    echo "== hnm-lab run --preset $preset --steps $steps --record runs/$preset-$now"
    "$lab" run --preset "$preset" --steps "$steps" --record "runs/$preset-$now"
done
echo
echo "== hnm-lab render runs/near-classes-$now demo.mp4"
"$lab" render "runs/near-classes-$now" demo.mp4 --seconds 8 --size 1280x720 --fps 30
echo
echo "Recordings: $PWD/runs/near-classes-$now and $PWD/runs/digits-$now"
echo "Video:      $PWD/demo.mp4"
