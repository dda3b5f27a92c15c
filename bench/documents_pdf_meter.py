"""What a command and all that it starts take: `python -m bench.documents_pdf_meter COMMAND …` prints CPU seconds and
the peak of their memory together, in MB, shared pages counted once.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import resource
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
EVERY_SECONDS = 0.02


def main() -> None:
    # What a browser's processes leave behind is this one's to wait for, and so in its account.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    process = subprocess.Popen(sys.argv[1:], stdout=sys.stderr)
    peak, is_over = [0.0], threading.Event()

    def sample() -> None:
        while not is_over.wait(EVERY_SECONDS):
            peak[0] = max(peak[0], sum(map(_pss, _descendants(os.getpid()))))

    sampler = threading.Thread(target=sample)
    sampler.start()
    code = process.wait()
    with suppress(ChildProcessError):
        while True:
            os.wait()
    is_over.set()
    sampler.join()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(json.dumps({"Cpu": used.ru_utime + used.ru_stime, "Peak": peak[0]}), flush=True)
    sys.exit(code)


def _descendants(pid: int) -> list[int]:
    try:
        children = [
            int(child)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    except OSError:
        return []
    return [one for child in children for one in (child, *_descendants(child))]


def _pss(pid: int) -> float:
    with suppress(OSError):
        found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
        return int(found[1]) / 1024 if found else 0.0
    return 0.0


if __name__ == "__main__":
    main()
