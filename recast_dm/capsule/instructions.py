"""RERUN.txt: how to run a capsule by hand, with tar, a shell and Linux namespaces, and nothing of ours.

The lines that begin with four spaces are one shell script; the tests run it as it stands.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from recast_dm.capsule import layout
from recast_dm.capsule.inputs import Referenced
from recast_dm.images.layout import Stored
from recast_dm.runtimes.command_line import BASE_ENV

_HEAD = """\
{title}

This directory preserves an analysis of high-energy physics: its programs (container images), how they are run (a
workflow), its inputs, and what came out when it was captured. It can be run again without a network, and without the
program that wrote it. capsule.json says what is here; its digest is sha256:{digest}.


1. Is everything as it was?  (coreutils)

    sha512sum --check --quiet {tags} {payload}


2. The easy way: with recast-dm

`recast-dm verify .`, `recast-dm run .`, and under another signal `recast-dm rerun . --model NAME --set KEY=VALUE`.


3. With a container engine

The images are one OCI layout, {images}. skopeo gives them to docker or podman:

{loads}


4. By hand

Each image becomes a directory: its layers, one upon the other; a file `.wh.NAME` in a layer removes NAME, and
`.wh..wh..opq` all that lay below in its directory.

    set -eu
    capsule=$PWD
    work=${{RERUN_WORK:-$PWD/../rerun}}
    mkdir -p "$work"
    layer() {{  # IMAGE BLOB
      gzip -cd "$capsule/{images}/blobs/sha256/$2" > "$work/layer.tar"
      tar -tf "$work/layer.tar" | grep -E '(^|/)\\.wh\\.' > "$work/whiteouts" || true
      while IFS= read -r path; do
        case $path in
          *.wh..wh..opq) find "$work/$1/${{path%.wh..wh..opq}}" -mindepth 1 -delete ;;
          *) rm -rf "$work/$1/$(dirname "$path")/$(basename "$path" | sed 's/^\\.wh\\.//')" ;;
        esac
      done < "$work/whiteouts"
      tar -xf "$work/layer.tar" -C "$work/$1" --no-same-owner \\
        --exclude='.wh.*' --anchored --exclude='dev/*' --exclude='./dev/*'
      rm "$work/layer.tar" "$work/whiteouts"
    }}
{unpacks}

A step runs in its image with its own directory at /workdir and those of the steps that it reads, read-only, at
/inputs/0, /inputs/1 and so on; it sees no network. unshare (util-linux) makes that without an engine, and as an
ordinary user where the system lets users make namespaces.

    mounted() {{  # DIRECTORY NUMBER PATH CONTENT: a small file that the step is to see at PATH
      mkdir -p "$work/mounted/$1"
      printf %s "$3" > "$work/mounted/$1/$2.path"; printf %s "$4" > "$work/mounted/$1/$2"
    }}
    step() {{  # IMAGE DIRECTORY INPUTS COMMAND...
      root=$work/$1; own=$work/run/$2; mounts=$work/mounted/$2; inputs=$3; shift 3
      mkdir -p "$own" "$root/workdir" "$root/scratch" "$root/tmp" "$root/dev" "$root/proc"
      n=0; for input in $inputs; do mkdir -p "$root/inputs/$n"; n=$((n + 1)); done
      n=0; while [ -f "$mounts/$n" ]; do
        path=$root$(cat "$mounts/$n.path"); mkdir -p "${{path%/*}}"; [ -e "$path" ] || : > "$path"
        n=$((n + 1))
      done
      export root own mounts inputs work
      unshare --user --map-root-user --mount --net --pid --fork sh -euc '
        mount --rbind /dev "$root/dev"
        mount -t proc proc "$root/proc"
        mount -t tmpfs tmpfs "$root/tmp"; mount -t tmpfs tmpfs "$root/scratch"
        mount --bind "$own" "$root/workdir"
        n=0; for input in $inputs; do
          mount --bind "$work/run/$input" "$root/inputs/$n"
          mount -o remount,bind,ro "$root/inputs/$n"
          n=$((n + 1))
        done
        n=0; while [ -f "$mounts/$n" ]; do
          mount --bind "$mounts/$n" "$root$(cat "$mounts/$n.path")"
          n=$((n + 1))
        done
        cd "$root" && exec chroot . "$@"' sh "$@"
    }}
"""
_STEPS = """

5. The steps as they were run

They wrote what {reference} holds.

{steps}
"""
_NO_RUN = """

5. The steps

This capsule was captured without a run, so there are no commands to repeat: {workflow} says what is run, in the words
of yadage (https://yadage.readthedocs.io), and capsule.json holds the parameters it begins with, under `example`.
"""
_BY_REFERENCE = """

6. Inputs that are not here

They were too large to be kept. Put them below {analysis}, and check them against these hashes:

{rows}
"""


def text(
    manifest: Mapping[str, Any],
    images: Sequence[Stored],
    steps: Iterable[Mapping[str, Any]],
    missing: Sequence[Referenced],
) -> str:
    """RERUN.txt. `steps` are the records of the reference run, in an order in which they can be run."""
    names = {each.image.reference: f"image{number}" for number, each in enumerate(images)}
    head = _HEAD.format(
        title=f"{manifest['title']} ({manifest['name']})",
        digest=manifest["digest"],
        tags="tagmanifest-sha512.txt",
        payload="manifest-sha512.txt",
        images=layout.IMAGES,
        loads="\n".join(_load(each) for each in images) or "(there are none)",
        unpacks="\n".join(_unpack(each, names[each.image.reference]) for each in images),
    )
    commands = [_step(record, names) for record in steps if record["execution"].get("argv")]
    if commands:
        initdir = manifest["initdir"] or layout.ANALYSIS
        begin = f'    mkdir -p "$work/run"; ln -sfn "$capsule/{initdir}" "$work/run/init"'
        told = _STEPS.format(reference=layout.REFERENCE, steps="\n\n".join([begin, *commands]))
    else:
        told = _NO_RUN.format(workflow=layout.WORKFLOW)
    rows = "\n".join(f"  sha256:{each.sha256}  {each.path}  {each.url or each.did}" for each in missing)
    return head + told + (_BY_REFERENCE.format(analysis=layout.ANALYSIS, rows=rows) if missing else "")


def _load(each: Stored) -> str:
    reference = each.image.reference
    return f"  skopeo copy oci:{layout.IMAGES}:{reference} docker-daemon:{reference}"


def _unpack(each: Stored, name: str) -> str:
    lines = [f'    mkdir -p "$work/{name}"  # {each.image.reference}']
    lines += [f"    layer {name} {layer.digest.removeprefix('sha256:')}" for layer in each.layers]
    return "\n".join(lines)


def _step(record: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """A step as it was run, for the function `step` above."""
    execution = record["execution"]
    image = str((execution.get("image") or {}).get("reference"))
    if image not in names:
        return f"  ({record['step']} ran on the host: {shlex.join(execution['argv'])})"
    inputs = sorted(
        (int(place.rpartition("/")[2]), step)
        for step, place in execution["places"].items()
        if place.startswith("/inputs/")
    )
    places = " ".join("init" if step == "init/0" else step for _, step in inputs)
    settings = dict(word.partition("=")[::2] for word in execution["image"]["config"]["env"])
    settings = {**settings, **BASE_ENV, **execution["env"]}
    words = ["/usr/bin/env", "-i", *(f"{name}={value}" for name, value in sorted(settings.items()))]
    start = execution["image"]["config"]["workdir"] or "/"
    body = f'cd {shlex.quote(execution["cwd"] or start)} && exec "$@"'
    command = shlex.join([*words, "sh", "-c", body, "sh", *execution["argv"]])
    stdin = execution.get("stdin")
    told = f" <<'RERUN_END'\n{stdin.rstrip()}\nRERUN_END" if stdin else ""
    files = [
        shlex.join(["mounted", record["step"], str(number), path, content])
        for number, (path, content) in enumerate(sorted((execution.get("files") or {}).items()))
    ]
    lines = [*files, f"step {names[image]} {record['step']} {shlex.quote(places)} {command}{told}"]
    return "\n".join(f"    {line}" for each in lines for line in each.split("\n"))
