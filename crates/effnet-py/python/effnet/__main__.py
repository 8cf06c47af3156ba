"""The command: ``effnet`` or ``python -m effnet``."""

import signal
import sys

from . import _effnet


def main() -> int:
    # Python only notes Ctrl-C until its own code runs again, and the command's is not Python's.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _effnet.command(["effnet", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
