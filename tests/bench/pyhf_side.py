"""pyhf's hypotest on models from a file, with its own start, optimiser and bounds: `python pyhf_side.py BACKEND FILE`.

Runs in whichever environment has the backend. Writes one JSON list to standard output: CPU seconds, and CLs observed
and expected or the name of what went wrong, for each `{"workspace": ..., "patch": [...]}` of the file's list.
"""

import json
import logging
import sys
import time
import warnings
from pathlib import Path


def main(backend: str, file: str) -> None:
    warnings.simplefilter("ignore")
    import pyhf

    logging.disable(logging.CRITICAL)
    pyhf.set_backend(backend)
    tasks = json.loads(Path(file).read_text())
    print(json.dumps([one(pyhf, task) for task in tasks]))


def one(pyhf, task):
    workspace = pyhf.Workspace(task["workspace"])
    began = time.process_time()
    try:
        model = workspace.model(patches=[task["patch"]])
        observed, expected = pyhf.infer.hypotest(
            1.0, workspace.data(model), model, test_stat="qtilde", return_expected_set=True
        )
        cls, failed = [float(observed), *(float(each) for each in expected)], None
    except Exception as error:  # noqa: BLE001  # whatever it is, it is what a user of pyhf would see
        cls, failed = None, type(error).__name__
    return {"seconds": time.process_time() - began, "cls": cls, "failed": failed}


if __name__ == "__main__":
    main(*sys.argv[1:])
