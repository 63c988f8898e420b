#!/usr/bin/env bash
# Builds the base image and the images of containers/, without a registry where that is possible.
#   containers/build.sh [NAME|DIR...]    NAME is a directory of containers/; default: all of them
# A container directory DIR becomes the image recast-dm/<its name>:1.0. It holds
#   Dockerfile         ARG BASE / FROM ${BASE}; what it copies from its context is listed below
#   requirements.txt   hash-locked (may be empty); the wheels are downloaded on the host, because a container may have no
#                      network and may be unable to verify a registry's certificate
#   sources            lines "REPO_PATH CONTEXT_PATH", of a directory or a file: what else goes from this repository into
#                      the context
# The context: Dockerfile, requirements.txt, the CONTEXT_PATHs, and wheels/: the locked wheels and that of pip, which runs
# from its own file: python3 "$(echo wheels/pip-*.whl)/pip" install --no-index --find-links wheels --require-hashes ... An image is built again only when its recipe changes: the digest of all that, with the base.
# Exit codes: 1 a build failed, 2 unknown name, 3 bad container directory, 4 a tool is missing, 5 a wheel is not the
# locked one, 6 a registry does not answer, 9 no space.
set -euo pipefail

SUITE=bookworm
BASE=recast-dm/python:3.11-$SUITE
BASE_PACKAGES=python3-minimal,python3,ca-certificates
BASE_FALLBACK=python:3.11-slim-$SUITE
GLIBC_MINOR=36 # of the suite: wheels for manylinux_2_5 to manylinux_2_36 run there
EPOCH=1735689600 # 2025-01-01: the time of every file in a context and in the base
LABEL=org.recast-dm.recipe

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=build
WHEELS=$BUILD/wheels
LOGS=$BUILD/log

say() { printf 'images: %s\n' "$*" >&2; }
die() { # EXIT_CODE MESSAGE...
  local code=$1
  shift
  say "$@"
  exit "$code"
}
digest() { sha256sum | cut -d' ' -f1; }

# Runs a command with its output shown and kept; the log tells afterwards why it failed.
logged() { # LOG COMMAND...
  local log=$1
  shift
  "$@" </dev/null 2>&1 | tee "$log" >&2
}

no_space() { # LOG
  grep -qi 'no space left on device' "$1" || return 0
  df -Ph . >&2
  die 9 "the disk is full (above). Free some space ('docker system df' says what images take), then repeat your command."
}

recipe_of() { docker image inspect --format "{{index .Config.Labels \"$LABEL\"}}" "$1" 2>/dev/null || true; }
layers_of() { docker image inspect --format '{{join .RootFS.Layers " "}}' "$1"; }

# --- the base image ---------------------------------------------------------------------------------------------------

can_install() { [ "$(id -u)" = 0 ] && [ -e /etc/debian_version ] && command -v apt-get >/dev/null; }

have_mmdebstrap() {
  command -v mmdebstrap >/dev/null && return 0
  can_install || return 1
  say "making the base image takes mmdebstrap; installing the Debian packages mmdebstrap debian-archive-keyring"
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    mmdebstrap debian-archive-keyring; } >&2 </dev/null
}

# No documentation, translations, caches or logs; copyright files stay.
# shellcheck disable=SC2016 # mmdebstrap gives the hook its $1
base_tar() { # TAR
  SOURCE_DATE_EPOCH=$EPOCH mmdebstrap --variant=minbase --architectures="$ARCH" --include="$BASE_PACKAGES" \
    --aptopt='Acquire::Languages "none"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook='rm -rf "$1"/var/cache/* "$1"/var/log/* "$1"/etc/hostname "$1"/etc/resolv.conf' \
    "$SUITE" "$1"
}

base_recipe() { { declare -f base_tar import_base && echo "$SUITE $BASE_PACKAGES $EPOCH $ARCH"; } | digest; }

import_base() { # TAR RECIPE
  docker import --change 'ENV LANG=C.UTF-8' --change 'CMD ["python3"]' --change "LABEL $LABEL=$2" "$1" "$BASE"
}

make_base() { # RECIPE
  have_mmdebstrap || return 1
  say "making the base image $BASE from Debian packages (about half a minute)"
  logged "$LOGS/base.log" base_tar "$TEMP/base.tar" || { no_space "$LOGS/base.log" && return 1; }
  logged "$LOGS/base.log" import_base "$TEMP/base.tar" "$1" || { no_space "$LOGS/base.log" && return 1; }
  rm -f "$TEMP/base.tar"
}

# A pulled base is not the same bytes as a made one, so its recipe says so.
pull_base() { # RECIPE
  say "ATTENTION: the base image cannot be made from Debian packages here; pulling $BASE_FALLBACK instead"
  printf 'FROM %s\n' "$BASE_FALLBACK" >"$TEMP/pulled"
  logged "$LOGS/base.log" env DOCKER_BUILDKIT=0 docker build --label "$LABEL=pulled-$1" --tag "$BASE" \
    --file "$TEMP/pulled" "$TEMP" || { no_space "$LOGS/base.log" && return 1; }
}

ensure_base() {
  local want have
  want=$(base_recipe)
  have=$(recipe_of "$BASE")
  [ "${have#pulled-}" = "$want" ] && return 0
  make_base "$want" || pull_base "$want" || die 4 "there is no base image. Either make mmdebstrap work (as an ordinary user it needs the package uidmap too), or pull $BASE_FALLBACK:
    apt-get update && apt-get install --yes --no-install-recommends mmdebstrap debian-archive-keyring
    docker pull $BASE_FALLBACK
  Then repeat your command; the reason of the failure is above, and in $LOGS/base.log"
}

# --- the context of an image ------------------------------------------------------------------------------------------

copy_sources() { # SOURCES_FILE CONTEXT
  local from to line=0
  while read -r from to || [ -n "$from" ]; do
    line=$((line + 1))
    case $from in '' | '#'*) continue ;; esac
    case "/$from/$to/" in */../* | *//*) die 3 "$1:$line: expected 'REPO_PATH CONTEXT_PATH', both relative and without '..'" ;; esac
    if [ -d "$from" ]; then
      mkdir -p "$2/$to"
      cp -R "$from/." "$2/$to"
    elif [ -f "$from" ]; then
      mkdir -p "$(dirname "$2/$to")"
      cp "$from" "$2/$to"
    else
      die 3 "$1:$line: there is no file or directory '$from' in this repository"
    fi
  done <"$1"
}

assemble() { # DIR CONTEXT
  local file
  for file in Dockerfile requirements.txt sources; do
    [ -f "$1/$file" ] || die 3 "$1 has no file '$file'; what a container directory holds stands at the top of containers/build.sh"
  done
  mkdir -p "$2"
  cp "$1/Dockerfile" "$1/requirements.txt" "$2"
  copy_sources "$1/sources" "$2"
  find "$2" \( -name __pycache__ -o -name '.*_cache' -o -name '*.py[co]' \) -prune -exec rm -rf {} +
  chmod -R u=rwX,go=rX "$2"
}

recipe() { # CONTEXT
  {
    echo "2 $ARCH $(recipe_of "$BASE") $(layers_of "$BASE")"
    digest <containers/pip.txt
    cd "$1" && find . \( -type f -o -type l \) -printf '%m %y %l\t%p\n' | LC_ALL=C sort
    find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
  } | digest
}

# --- wheels: for the image's Python and platform, not the host's ------------------------------------------------------

host_pip() { if [ -x .venv/bin/python ]; then .venv/bin/python -m pip "$@"; else python3 -m pip "$@"; fi; }

pip_download() { # CONTEXT DESTINATION OPTION...
  local context=$1 destination=$2 machine platforms=() minor
  shift 2
  case $ARCH in amd64) machine=x86_64 ;; arm64) machine=aarch64 ;; *) machine=$ARCH ;; esac
  for ((minor = GLIBC_MINOR; minor >= 5; minor--)); do platforms+=(--platform "manylinux_2_${minor}_$machine"); done
  platforms+=(--platform "manylinux2014_$machine")
  host_pip download --disable-pip-version-check --require-hashes --no-deps --only-binary=:all: \
    --implementation cp --python-version 3.11 --abi cp311 --abi abi3 --abi none "${platforms[@]}" \
    --dest "$destination" "$@" -r containers/pip.txt -r "$context/requirements.txt"
}

# Taking the wheels from the cache checks every hash again; what is missing or damaged there is downloaded.
cached_wheels() { pip_download "$1" "$1/wheels" --no-index --find-links "$WHEELS"; } # CONTEXT

fetch_wheels() { # CONTEXT NAME
  local log=$LOGS/$2-wheels.log
  cached_wheels "$1" >"$log" 2>&1 && return 0
  say "$2: downloading wheels"
  logged "$log" pip_download "$1" "$WHEELS" && cached_wheels "$1" >>"$log" 2>&1 && return 0
  no_space "$log"
  if grep -q 'DO NOT MATCH THE HASHES' "$log"; then
    die 5 "$2: a wheel is not the one that is locked (above): it was changed after the lock was made, or on its way here.
    Nothing was built. Try another network or package index; if the new wheel is right, make the lock anew: make lock"
  elif grep -q 'Hashes are required' "$log"; then
    die 5 "$2: requirements.txt is not hash-locked (above). Lock it: make lock"
  fi
  die 6 "$2: pip could not download the wheels; its reason is above, and in $log.
    Check the network (and pip's index-url, proxy and cert settings), then repeat your command: what is here is kept."
}

# --- an image ---------------------------------------------------------------------------------------------------------

build_image() { # DIR
  local name context want tag
  name=$(basename "$1")
  tag=recast-dm/$name:1.0
  context=$TEMP/$name
  assemble "$1" "$context"
  want=$(recipe "$context")
  if [ "$(recipe_of "$tag")" = "$want" ]; then
    say "$tag is up to date"
    return 0
  fi
  fetch_wheels "$context" "$name"
  find "$context" -exec touch --no-dereference --date "@$EPOCH" {} +
  say "$tag: building"
  logged "$LOGS/$name.log" env DOCKER_BUILDKIT=0 docker build --network none --force-rm --build-arg "BASE=$BASE" \
    --label "$LABEL=$want" --tag "$tag" "$context" || {
    no_space "$LOGS/$name.log"
    die 1 "$tag: the build failed; its last step is above, the whole log is $LOGS/$name.log. Mend $1/Dockerfile, then repeat."
  }
  rm -rf "$context"
  say "$tag is built: $(docker image inspect --format '{{.Id}}' "$tag")"
}

known() { (cd containers && find . -mindepth 2 -maxdepth 2 -name Dockerfile -printf '%h ' | sed 's|\./||g'); }

directories() { # [NAME|DIR...]
  local name
  if [ $# = 0 ]; then set -- containers/*/; fi
  for name; do
    if [ -f "$name/Dockerfile" ]; then
      printf '%s\n' "${name%/}"
    elif [ -f "containers/$name/Dockerfile" ]; then
      printf '%s\n' "containers/$name"
    elif [ "$name" != 'containers/*/' ]; then
      die 2 "there is no container directory '$name' with a Dockerfile. Known: $(known)"
    fi
  done
}

main() {
  local wanted
  cd "$ROOT"
  wanted=$(directories "$@")
  ARCH=$(docker version --format '{{.Server.Arch}}' 2>/dev/null) ||
    die 4 "no container engine answers. Start one: containers/engine.sh"
  mkdir -p "$WHEELS" "$LOGS"
  exec 9>"$BUILD/.images.lock" && flock 9 # two builds of one image at once would do everything twice
  TEMP=$(mktemp -d "$BUILD/context-XXXXXX")
  trap 'rm -rf "$TEMP"' EXIT
  ensure_base
  local directory
  for directory in $wanted; do build_image "$directory"; done
}

main "$@"
