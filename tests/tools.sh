#!/usr/bin/env bash
# Programs that tests run beside ours: other people's readers of our formats, a browser, strace, and a compiler. Installs
# the missing ones where we are root on Debian or Ubuntu; elsewhere the tests that need them are skipped, or fail under
# CI=true.
set -euo pipefail

declare -A PACKAGES=([skopeo]=skopeo [umoci]=umoci [podman]=podman [newuidmap]=uidmap [bwrap]=bubblewrap [docker-registry]=docker-registry [strace]=strace [unzip]=unzip
  [chromium]=chromium [cc]=build-essential)
HEADERS='import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))'

missing=()
for program in "${!PACKAGES[@]}"; do
  command -v "$program" >/dev/null || missing+=("${PACKAGES[$program]}")
done
python3 -c "$HEADERS" || missing+=(python3-dev) # with cc: the official reana-client has parts that are built from source
[ ${#missing[@]} -gt 0 ] || exit 0
if [ "$(id -u)" != 0 ] || [ ! -e /etc/debian_version ]; then
  echo "tests: these programs are missing, and their tests with them: ${missing[*]}" >&2
  exit 0
fi
echo "tests: installing these Debian packages, for tests only: ${missing[*]}" >&2
apt-get update -qq >&2 </dev/null || true
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 "${missing[@]}" >&2 </dev/null ||
  echo "tests: apt-get failed (its reason is above): the tests of ${missing[*]} cannot run" >&2
