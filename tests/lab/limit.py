"""Nothing in the lab lasts for ever: what is under way has a limit, and when that is over it says what it was.

One thing is under way at a time, in the main thread. It gets an error where it waits; if that does not end it, because
a thread of its own waits too, this process ends, and with the first process of its namespaces everything in them.
"""

import os
import signal
import sys

# Seconds in which whoever met the limit can put away what it has.
GRACE = 30

_under_way = ["", 0.0, False]


def begin(what: str, seconds: float):
    """Something begins; what began before is over."""
    _under_way[:] = [what, seconds, False]
    signal.signal(signal.SIGALRM, _expired)
    signal.setitimer(signal.ITIMER_REAL, seconds, GRACE)


def over():
    """It ended in time."""
    signal.setitimer(signal.ITIMER_REAL, 0)


def _expired(_number, _frame):
    what, seconds, told = _under_way
    words = f"{what}: not over after {seconds:.0f} s"
    if told:
        print(f"lab: {words}, and it cannot be ended; the lab ends", file=sys.stderr, flush=True)
        os._exit(1)
    _under_way[2] = True
    raise TimeoutError(words)
