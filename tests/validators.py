"""The validators that others have written, in an environment of their own: what a crate and a citation must pass.

Nothing is fetched: the two vocabularies that crates name lie in tests/data/ro-crate, and are put into the cache that
the RO-Crate validator asks before it asks anybody else.
"""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from recast_dm.backends import tool_environment

TOP = Path(__file__).parents[1]
LOCK = TOP / "tests/locks/tool-validators.txt"
CONTEXTS = {
    "https://w3id.org/ro/crate/1.1/context": TOP / "tests/data/ro-crate/ro-crate-1.1-context.json",
    "https://w3id.org/ro/terms/workflow-run/context": TOP / "tests/data/ro-crate/wfrun-context.json",
}
PROVENANCE, WORKFLOW = "provenance-run-crate-0.5", "workflow-ro-crate-1.0"

SEED = """
import json, sys
from pathlib import Path
import requests
import urllib3
from requests.adapters import BaseAdapter
from rocrate_validator.utils.http import HttpRequester

contexts = json.loads(sys.argv[2])

class Shelf(BaseAdapter):
    def send(self, request, **_):
        response = requests.Response()
        response.status_code, response.url, response.request = 200, request.url, request
        response.headers["Content-Type"] = "application/ld+json"
        response.raw = urllib3.HTTPResponse(status=200, headers=response.headers, request_url=request.url)
        response._content = Path(contexts[request.url]).read_bytes()
        return response
    def close(self):
        pass

requester = HttpRequester(cache_path=sys.argv[1], cache_max_age=-1)
for url in contexts:
    requester.session.mount(url, Shelf())
    requester.get(url, headers={"Accept": "application/ld+json, application/json"}).raise_for_status()
"""


@dataclass(frozen=True, slots=True)
class Validators:
    """The environment's programs, and the seeded cache of the RO-Crate validator."""

    programs: Path
    cache: Path

    def crate(self, root: Path, profile: str = PROVENANCE, level: str = "required") -> list[str]:
        """What the validator finds wrong with a crate in a directory or a zip file; nothing when it passes."""
        report = self.cache.with_name(f"{root.name}.{profile}.{level}.report")
        form = "text" if root.suffix == ".zip" else "json"  # it cannot write a zip file's name into JSON
        done = subprocess.run(
            [
                *(self.programs / "rocrate-validator", "validate", "--offline", "--cache-path", self.cache, "-v"),
                *("--no-paging", "--no-auto-profile", "-p", profile, "-l", level, "-f", form, "-o", report, root),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        said = done.stdout + done.stderr
        assert done.returncode in (0, 1), said
        assert report.is_file(), said
        if form == "text":
            return [] if done.returncode == 0 else [report.read_text()]
        found = json.loads(report.read_text())
        issues = [f"{issue['check']['identifier']}: {issue['message']}" for issue in found["issues"]]
        assert (done.returncode == 0) == found["passed"] == (not issues), said
        return issues

    def citation(self, file: Path) -> str:
        """What cffconvert says of a CITATION.cff that is not valid; nothing of one that is."""
        argv = [self.programs / "cffconvert", "--validate", "-i", file]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        return "" if done.returncode == 0 else done.stdout + done.stderr


def prepare(place: Path) -> Validators:
    """The validators, with a cache in `place`."""
    python = tool_environment.ensure("validators", LOCK, TOP / "build/tools")
    cache = place / "contexts"
    contexts = json.dumps({url: str(path) for url, path in CONTEXTS.items()})
    subprocess.run([python, "-c", SEED, cache, contexts], check=True, capture_output=True)
    return Validators(python.parent, cache)
