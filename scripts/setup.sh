#!/usr/bin/env bash
# Makes .venv and installs hnm-lab into it, editable, with the versions of constraints.txt.
#   scripts/setup.sh run     what the program needs
#   scripts/setup.sh test    and what the tests need
# A second call returns at once: the stamp in .venv holds the hash of what the environment was made from.
set -euo pipefail
cd "$(dirname "$0")/.."

for_what=${1:-run}
log=.venv/setup.log

say() { echo "[setup] $*"; }

fail() {
    echo "[setup] $1" >&2
    exit 1
}

# Prints the first Python that runs and has a version we support; the one in PYTHON, where that is set, or none.
# A name on the PATH may be a mere shim that does not run.
find_python() {
    local name
    for name in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    return 1
}

stamp_key() {
    cat pyproject.toml constraints.txt scripts/setup.sh | sha256sum | cut -d ' ' -f 1
    echo "$PWD" # an editable install points at this folder
}

# The stamp of `test` serves `run` as well.
is_done() {
    local kind
    for kind in "$for_what" test; do
        if [ -x .venv/bin/hnm-lab ] && [ "$(cat ".venv/stamp-$kind" 2>/dev/null)" = "$(stamp_key)" ]; then
            return 0
        fi
    done
    return 1
}

is_debian_root() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

# Installs Debian packages, quietly; says what to do when that fails. $1: why, the rest: names.
apt_install() {
    local why=$1
    shift
    say "installing Debian packages for $why: $*"
    mkdir -p .venv # where the log is
    if ! { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"; } \
        >>"$log" 2>&1; then
        say "some Debian packages could not be installed, see $log; going on without them"
    fi
}

# Libraries that Qt's X11 platform plug-in links to and this system lacks, one a line; `ldd` knows best.
missing_qt_libraries() {
    local plugin
    plugin=$(find .venv/lib -path '*PyQt6/Qt6/plugins/platforms/libqxcb.so' 2>/dev/null | head -n 1)
    if [ -n "$plugin" ] && command -v ldd >/dev/null; then
        ldd "$plugin" "$(dirname "$plugin")/../../lib/libQt6Widgets.so.6" | awk '/not found/ {print $1}' | sort -u
    fi
}

QT_PACKAGES="libegl1 libgl1 libdbus-1-3 libfontconfig1 libglib2.0-0 libxkbcommon-x11-0 libx11-xcb1 libxcb-cursor0
    libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-shape0 libxcb-xinerama0
    libxcb-xkb1 fonts-dejavu-core"

system_packages() {
    [ "$(uname -s)" = Linux ] || return 0
    local missing wanted=()
    missing=$(missing_qt_libraries)
    if [ -n "$missing" ]; then
        if is_debian_root; then
            # shellcheck disable=SC2086  # a list of words
            apt_install "the window" $QT_PACKAGES
        else
            say "the window needs libraries that are missing here: $(echo "$missing" | tr '\n' ' ')"
            say "on Debian and Ubuntu: sudo apt-get install" $QT_PACKAGES
        fi
    fi
    if [ -z "$(find /usr/share/fonts /usr/local/share/fonts "$HOME/.local/share/fonts" "$HOME/.fonts" -name '*.[to]tf' -print -quit 2>/dev/null)" ]; then
        if is_debian_root; then
            apt_install "texts in the window" fonts-dejavu-core
        else
            say "the window needs a font; on Debian and Ubuntu: sudo apt-get install fonts-dejavu-core"
        fi
    fi
    if [ "$for_what" = test ] && is_debian_root; then
        command -v Xvfb >/dev/null || wanted+=(xvfb)
        command -v xauth >/dev/null || wanted+=(xauth)
        command -v g++ >/dev/null || wanted+=(g++) # runs the CUDA kernels on the CPU
        [ -d /usr/share/datasets/fashion-mnist ] || wanted+=(dataset-fashion-mnist)
        # One by one where there are several: a system without the data set still gets its X server.
        local package
        for package in "${wanted[@]}"; do
            apt_install "the tests" "$package"
        done
    fi
}

make_environment() {
    local python
    if [ ! -x .venv/bin/python ] || ! .venv/bin/python -c 'import pip' 2>/dev/null; then
        if ! python=$(find_python) && [ -z "${PYTHON:-}" ] && is_debian_root; then
            apt_install "the environment" python3 python3-venv
        fi
        python=$(find_python) || fail "hnm-lab needs Python 3.11, 3.12 or 3.13, and ${PYTHON:-what is installed here} is none of them. Name one: make run PYTHON=/path/to/python3"
        if ! "$python" -c 'import ensurepip, venv' 2>/dev/null && is_debian_root; then
            apt_install "the environment" python3-venv
        fi
        "$python" -c 'import ensurepip, venv' 2>/dev/null ||
            fail "this Python cannot make environments; on Debian and Ubuntu: sudo apt-get install python3-venv"
        say "making .venv with $("$python" --version)"
        "$python" -m venv --clear .venv
    fi
    local what=.
    [ "$for_what" = test ] && what='.[test]'
    say "installing hnm-lab and what it needs (some minutes the first time; details in $log)"
    : >"$log"
    if ! .venv/bin/python -m pip install --disable-pip-version-check --progress-bar off -c constraints.txt -e "$what" >>"$log" 2>&1; then
        tail -n 15 "$log" >&2
        fail "pip could not install everything; the whole story is in $log"
    fi
}

if is_done; then
    exit 0
fi
make_environment
system_packages
stamp_key >".venv/stamp-$for_what"
say "done"
