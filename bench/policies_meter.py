"""What a command takes: `python -m bench.policies_meter COMMAND …` prints its CPU seconds and peak memory in MB.

A process of its own, because a child's peak memory begins with that of the process it was forked from.
"""

import json
import os
import resource
import subprocess
import sys


def main() -> None:
    # What the command says goes where errors go: standard output is the measurement's.
    code = subprocess.run(sys.argv[1:], stdout=sys.stderr).returncode
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    took = {"Cpu": used.ru_utime + used.ru_stime, "Peak": used.ru_maxrss / 1024}
    print(json.dumps(took), flush=True)
    os._exit(code)


if __name__ == "__main__":
    main()
