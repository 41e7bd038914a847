"""Import a worker's library once, then be that worker again and again: `python zygote.py WORKER`, and on each line of stdin a request.

A request is JSON: the arguments, and the paths of three files: the script, the answer, and what else is printed. A process forked for it
runs the worker as a program; its exit status is printed as one line, negative if a signal ended it.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import signal
import sys
import traceback
from importlib import import_module
from math import ceil
from pathlib import Path
from typing import Any

CHANNEL = 3
"""As in `qspec_solvers.process`."""


def main(worker: str) -> None:
    """Serve until stdin is closed."""
    runpy.run_path(worker, run_name="preloaded")
    if Path(worker).stem == "run_pysmt":
        import_module("pysmt.shortcuts").get_env()  # looks for solvers, and imports those that it finds
    gc.freeze()
    gc.disable()
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            be(worker, json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def be(worker: str, request: dict[str, Any]) -> None:
    """Be the worker on one request, and end."""
    status = 1
    try:
        script, answer, noise = (request[name] for name in ("script", "answer", "noise"))
        new = os.O_CREAT | os.O_WRONLY
        for descriptor, (path, mode) in enumerate([(script, os.O_RDONLY), (noise, new), (noise, new), (answer, new)]):
            os.dup2(os.open(path, mode, 0o600), descriptor)
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 (a descriptor, to the end of the process)
        signal.alarm(ceil(request["seconds"]))
        sys.argv = [worker, *request["arguments"]]
        runpy.run_path(worker, run_name="__main__")
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 - a worker that fails says why, and ends
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main(sys.argv[1])
