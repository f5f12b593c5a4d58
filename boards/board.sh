#!/bin/sh
# Runs check.py, or the script named first, as root with the Python that has PYNQ. A password for sudo, where it wants
# one, comes on the first line.
set -e
script=check.py
case "$1" in *.py) script=$1; shift ;; esac
for profile in /etc/profile.d/xrt_setup.sh /etc/profile.d/pynq_venv.sh; do
  if [ -r "$profile" ]; then . "$profile" > /dev/null 2>&1 || true; fi
done
python=$(command -v python3) || { echo "no python3 on the board" >&2; exit 1; }
if [ "$(id -u)" = 0 ] || [ -n "$CODESIGN_WITHOUT_ROOT" ]; then
  exec "$python" "$script" "$@"
fi
exec sudo -S -p "" env "PATH=$PATH" "XILINX_XRT=$XILINX_XRT" "$python" "$script" "$@"
