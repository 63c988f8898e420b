#!/usr/bin/env bash
# Answers "is there something that starts containers?", and sees to it that the answer is yes.
#   containers/engine.sh         exit 0: docker or the sandbox works; exit 4: neither does, and the last lines say what to do
#   containers/engine.sh name    prints which: docker where it answers, else sandbox
# Uses the docker that answers (DOCKER_HOST and docker contexts are honoured). Where none does, and we are root on Debian
# or Ubuntu, it installs one and starts it. Where that cannot be, the sandbox serves: it needs no daemon, only bubblewrap.
# RECAST_DM_RUNTIME=sandbox takes the sandbox without a look at docker; =docker wants docker and nothing else.
# It never ends a process, and it removes only traces of dead ones.
set -euo pipefail

LOG=/var/log/recast-dm-dockerd.log
PIDFILE=/var/run/recast-dm-dockerd.pid
SOCKET=/var/run/docker.sock
LOCK=/var/run/recast-dm-engine.lock
PATIENCE=60 # seconds to wait for the socket of a starting daemon

say() { printf 'engine: %s\n' "$*" >&2; }
die() { say "$@"; exit 4; }

answers() { command -v docker >/dev/null && timeout 20 docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }
is_root() { [ "$(id -u)" = 0 ]; }
has_systemd() { [ -d /run/systemd/system ]; }
has_apt() { [ -e /etc/debian_version ] && command -v apt-get >/dev/null; }

# The process of a pid file, if it lives and is what it should be: a pid may have passed to another program.
alive() { # PIDFILE NAME
  local pid
  pid=$(cat "$1" 2>/dev/null) && [ -n "$pid" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$2" ]
}

refuse_without_root() {
  if has_apt && ! command -v docker >/dev/null; then
    die "there is no container engine, and installing one needs root. Run this once, then repeat your command:
    sudo apt-get install --yes --no-install-recommends docker.io mmdebstrap && sudo usermod --append --groups docker $(id -un) && exec newgrp docker"
  elif command -v docker >/dev/null && [ -S "$SOCKET" ] && [ ! -w "$SOCKET" ]; then
    die "docker is running, but user $(id -un) may not talk to it. Run this once, then repeat your command:
    sudo usermod --append --groups docker $(id -un) && exec newgrp docker"
  elif command -v docker >/dev/null; then
    die "docker is installed but does not answer. Start it, then repeat your command:
    sudo systemctl start docker"
  fi
  die "there is no container engine. Install docker (your system's package docker, docker.io or moby-engine), start it,
    and repeat your command once this works:
    docker version"
}

install_engine() {
  local packages=(docker.io mmdebstrap)
  say "no container engine answers; installing these Debian packages: ${packages[*]}"
  if ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    -o Dpkg::Use-Pty=0 "${packages[@]}"; } >&2 </dev/null; then
    df -P / /var | awk 'NR > 1 && $4 < 600000 { full = 1 } END { exit !full }' &&
      { say "apt-get failed and the disk is nearly full: free about 1 GB, then repeat your command."; exit 9; }
    die "apt-get failed (its reason is above). Mend it, then repeat your command; by hand it is:
    apt-get update && apt-get install --yes --no-install-recommends ${packages[*]}"
  fi
}

# Waits until docker answers, as long as WATCHED (a command) succeeds.
await() { # WATCHED...
  local end=$((SECONDS + PATIENCE))
  until answers; do
    { [ $SECONDS -lt $end ] && "$@"; } || return 1
    sleep 0.5
  done
}

has_nat() { command -v iptables >/dev/null && iptables --wait 5 -t nat -L -n >/dev/null 2>&1; }

remove_stale() { # PIDFILE NAME
  if [ -e "$1" ] && ! alive "$1" "$2"; then
    say "removing $1: the $2 that wrote it is gone"
    rm -f "$1"
  fi
}

# A daemon that outlives us must not hold our pipes: whoever reads them would wait for it for ever.
launch() { # FLAGS...
  say "starting dockerd${*:+ $*}"
  (
    for fd in /proc/self/fd/*; do
      fd=${fd##*/}
      if [ "$fd" -gt 2 ]; then eval "exec $fd>&-"; fi
    done
    cd /
    exec setsid --fork dockerd --pidfile "$PIDFILE" "$@" </dev/null >>"$LOG" 2>&1
  )
  sleep 1
  await alive "$PIDFILE" dockerd
}

start_daemon() {
  local closed=(--iptables=false --bridge=none)
  remove_stale "$PIDFILE" dockerd
  remove_stale /var/run/docker/containerd/containerd.pid containerd
  if has_nat && launch; then return 0; fi
  ! alive "$PIDFILE" dockerd || # it lives and is silent: a second one would only be in its way
    die "dockerd (pid $(cat "$PIDFILE")) does not answer after $PATIENCE s. Its log: $LOG"
  say "this kernel offers no nat table, or dockerd could not use it: containers get no network (they need none)"
  launch "${closed[@]}" || {
    tail -n 12 "$LOG" >&2
    die "dockerd did not start; the end of its log $LOG is above. When it is mended, repeat your command."
  }
}

# A daemon that lives but is silent may still be starting: the package's own start script can be quicker than we are.
await_running() {
  local pidfile
  for pidfile in "$PIDFILE" /var/run/docker.pid; do
    alive "$pidfile" dockerd || continue
    say "waiting for the dockerd that runs already (pid $(cat "$pidfile"))"
    await alive "$pidfile" dockerd && return 0
    ! alive "$pidfile" dockerd ||
      die "dockerd (pid $(cat "$pidfile")) runs but has not answered for $PATIENCE s. See its log, stop it, repeat your command:
    kill $(cat "$pidfile")"
  done
  return 1
}

start_service() {
  say "starting docker: systemctl start docker"
  systemctl start docker >&2 || true
  await systemctl --quiet is-active docker || die "docker did not start. Its log: journalctl --unit docker --lines 20"
  say "docker is up, and stays up. To stop it: systemctl stop docker docker.socket"
}

start_engine() {
  await_running && return 0
  if has_systemd; then
    start_service
  else
    start_daemon
    say "docker is up, and stays up when this ends. To stop it: kill $(cat "$PIDFILE")   (log: $LOG)"
  fi
}

ensure_docker() {
  answers && return 0
  if [ -n "${DOCKER_HOST:-}" ]; then
    die "DOCKER_HOST=$DOCKER_HOST does not answer. Start that engine, or unset DOCKER_HOST to use the one here."
  fi
  is_root || refuse_without_root
  if ! command -v dockerd >/dev/null; then
    has_apt || refuse_without_root
    install_engine
  fi
  exec 9>"$LOCK" && flock 9 # of two that come at once, one starts the daemon and the other finds it
  answers || start_engine
}

# --- the sandbox ------------------------------------------------------------------------------------------------------

SANDBOX=(bubblewrap mmdebstrap debian-archive-keyring) # what runs containers, and what makes the base image

sandbox_works() {
  .venv/bin/python -c 'from recast_dm import runtimes; runtimes.find("sandbox")' 2>/dev/null || return 1
  command -v mmdebstrap >/dev/null || [ -e build/images/index.json ]
}

ensure_sandbox() {
  sandbox_works && return 0
  if ! has_apt; then
    die "the sandbox needs bubblewrap, and mmdebstrap for the base image: install your system's packages, then repeat your command"
  elif ! is_root; then
    die "the sandbox needs no root, but what it is made of has to be installed. Run this once, then repeat your command:
    sudo apt-get install --yes --no-install-recommends ${SANDBOX[*]} uidmap"
  fi
  say "installing these Debian packages for the sandbox: ${SANDBOX[*]}"
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    -o Dpkg::Use-Pty=0 "${SANDBOX[@]}"; } >&2 </dev/null || die "apt-get failed (its reason is above). Mend it, then repeat your command"
  sandbox_works || die "bubblewrap is installed, and cannot start a container here. What it says: recast-dm doctor"
}

# A process of its own tries docker: what it says stays on the screen, and its end is not ours.
ensure_any() {
  answers && return 0
  if ! is_root && sandbox_works; then
    say "docker does not answer; the sandbox serves (it runs the same images)"
    return 0
  fi
  if RECAST_DM_RUNTIME=docker containers/engine.sh; then return 0; fi
  say "there is no docker here (its reason is above); the sandbox serves instead, and runs the same images"
  ensure_sandbox
}

main() {
  local wanted=${RECAST_DM_RUNTIME:-auto}
  if [ "${1:-}" = name ]; then
    [ "$wanted" != auto ] || { answers && wanted=docker || wanted=sandbox; }
    echo "$wanted"
    return 0
  fi
  case $wanted in
    auto) ensure_any ;;
    docker) ensure_docker ;;
    sandbox) ensure_sandbox ;;
  esac
}

cd "$(dirname "${BASH_SOURCE[0]}")/.."
main "$@"
