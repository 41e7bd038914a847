"""An executable that behaves as solvers sometimes do: `python misbehave.py WAY`."""

from __future__ import annotations

import os
import signal
import sys
import time


def sleep() -> None:
    time.sleep(600)


def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def fail() -> None:
    sys.exit("error: licence expired")


def silent() -> None:
    pass


def garbage() -> None:
    print("Welcome to the solver ))((")


def bytes_() -> None:
    sys.stdout.buffer.write(bytes(range(256)) * 100)


def endless() -> None:
    while True:
        print("sat" * 10_000)


def deep() -> None:
    print("(" * 1_000_000)


def half_model() -> None:
    print("sat\n((x #b0101")


def missing_value() -> None:
    print("sat")


def wrong_name() -> None:
    print("sat\n((z #b00000101))")


def wrong_sort() -> None:
    print("sat\n((x (- 3)))")


def error_then_unsat() -> None:
    print('(error "line 3: unknown function")\nunsat')


def unsat_then_sat() -> None:
    print("unsat\nsat")


def unsat_then_error() -> None:
    print('unsat\n(error "no model")')
    sys.exit(1)


def unsat_then_crash() -> None:
    print("unsat", flush=True)
    crash()


def loud() -> None:
    for _ in range(200):
        sys.stderr.write("warning: " * 10_000)
    print("unsat")


def echo() -> None:
    print("unsat" if "(check-sat)" in sys.stdin.read() else "sat")


def deaf() -> None:
    """Never reads its input."""
    print("unsat")


def stubborn() -> None:
    """Ignores every polite signal, and so does a child in a session of its own."""
    for polite in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(polite, signal.SIG_IGN)
    if os.fork() == 0:
        os.setsid()
        os.fork()
    sleep()


def orphan() -> None:
    """Answers, and leaves a process behind."""
    if os.fork() == 0:
        os.setsid()
        sleep()
    print("unsat")


def grow() -> None:
    kept: list[bytes] = []
    while True:
        kept.append(b"x" * (8 << 20))
        time.sleep(0.01)


def grow_in_children() -> None:
    """Three processes, each within the limit, together beyond it."""
    os.fork()
    os.fork()
    kept = b"x" * (50 << 20)
    sleep()
    print(len(kept))


def burst() -> None:
    bytearray(1 << 40)


if __name__ == "__main__":
    globals()[sys.argv[1]]()
