"""What a library might print in a process of its own: before, while and after it answers, on both streams, and words of answers too."""

from __future__ import annotations

import atexit
import os
import sys
import threading

BANNER = "Running Solver 9.9 (git hash: f3f113d): Copyright (c) 2026, memory limit 8 GB\n"


def speak(word: str) -> None:
    for descriptor in (1, 2):
        os.write(descriptor, f"{BANNER}{word}\n((x #b1))\n(error ".encode())


def chatter() -> None:
    for _ in range(3000):
        speak("unsat")
        if ENDED.wait(0.002):
            return


ENDED = threading.Event()
speak("sat")
print(BANNER, flush=True)
threading.Thread(target=chatter, daemon=True).start()
atexit.register(speak, "unknown")
atexit.register(ENDED.set)
print(BANNER, file=sys.stderr, flush=True)
