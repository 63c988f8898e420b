"""The job whose command lines are written out in the tests of runtimes."""

from pathlib import Path

from recast_dm.model import Image
from recast_dm.runtimes import Job, Limits

JOB = Job(
    name="recast-dm-1-count.0",
    run="1",
    runner="42.7",
    image=Image(reference="a:1", image_id="sha256:abc", diff_ids=("sha256:x",), platform="linux/amd64"),
    argv=("sh", "-c", "echo 'a b' $X"),
    workdir=Path("/runs/1/.attempts/count.0.1/work"),
    inputs=(Path("/runs/1/a b/0"), Path("/capsule,x/data")),
    user=(64077, 64077),
    log=Path("/runs/1/.attempts/count.0.1/log"),
    env={"RECAST_DM_P0": "a\nb=c"},
    limits=Limits(cpus=1.5, memory=2**30, pids=99, tmp=1024),
)
