#!/usr/bin/env bash
# Makes the base image and the images of containers/ without a container engine and without a registry, and gives them
# to the runtime that is here: docker runs the very layers that the sandbox runs.
#   containers/build.sh [NAME|DIR...]    NAME is a directory of containers/; default: all of them
# A container directory DIR becomes the image recast-dm/<its name>:1.0. It holds
#   Dockerfile         ARG BASE / FROM ${BASE}; the few instructions that containers/assembler/dockerfile.py lists
#   requirements.txt   hash-locked (may be empty); the wheels are downloaded on the host, because a container may have no
#                      network and may be unable to verify a registry's certificate
#   sources            lines "REPO_PATH CONTEXT_PATH", of a directory or a file: what else goes from this repository into
#                      the context
# The context: Dockerfile, requirements.txt, the CONTEXT_PATHs, and wheels/: the locked wheels and that of pip. An image
# is made again only when its recipe changes: the digest of all that, with the base. It has a name only when every RUN
# line of its Dockerfile has succeeded in it. All images lie in one OCI layout, build/images, as oci:build/images.
# RECAST_DM_RUNTIME names the runtime; default: the first of docker, podman and the sandbox that works.
# Exit codes: 1 a check or pip failed, 2 unknown name, 3 bad container directory, 4 a tool is missing, 5 a wheel is not
# the locked one, 6 a registry does not answer, 9 no space.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ -e .venv/.ready ] || make --no-print-directory venv
exec .venv/bin/python -m containers.assembler "$@"
