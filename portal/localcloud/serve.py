"""The portal on a laptop: Django's runserver, which reloads as one saves, and which ends when its launcher does.

`python -m portal.localcloud.serve 127.0.0.1:8000`, in a process group of its own.
"""

import os
import signal
import sys
import threading

from django.core.management import execute_from_command_line


def end_with_launcher() -> None:
    sys.stdin.read()  # the launcher never writes; the pipe closes when it ends, however that happens
    os.killpg(0, signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=end_with_launcher, daemon=True).start()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    execute_from_command_line(["manage.py", "runserver", "--nostatic", *sys.argv[1:]])
