"""Run one command under hard limits and report how it ended.

Started by `qspec_solvers.process` as `python -I -S supervise.py REPORT ANSWER PARENT SECONDS MIB COMMAND...`: a process of its own, so that
the limits hold whatever the parent is busy with, and so that nothing outlives a parent that is killed. REPORT is a file descriptor; one
line is written to it: `exit|signal|timeout|memory|stopped CODE PEAK_MIB CPU_SECONDS`. ANSWER is the one that the command is to have as
`CHANNEL`, or -1. Uses the standard library only, and starts in 20 ms.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import time

LINUX = sys.platform == "linux"
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
POLITE = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
SLOWEST_POLL = 0.02
CHANNEL = 3
"""As in `qspec_solvers.process`."""
PAGE = resource.getpagesize()


def prctl(option: int, value: int) -> None:
    """Set an attribute of this process; Linux only, elsewhere nothing happens."""
    if LINUX:
        import ctypes

        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def limit(memory: int) -> None:
    """Forbid this process and its children core files, and more private memory than `memory` MiB with a margin.

    The margin is there because `watch` stops them at `memory` itself; this is for bursts between two looks at what is resident. Address
    space (RLIMIT_AS) is no measure: under it z3 gave up at half the limit, and cvc5's library could not be mapped at 30 MiB.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory and LINUX:
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        most = (memory + memory // 4 + 512) << 20
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def start(command: list[str], answer: int, memory: int) -> int:
    """Start the command as the leader of its own process group, with `answer` as its descriptor `CHANNEL`; it dies with this process."""
    supervisor = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setpgid(0, 0)
        for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(ignored, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        if answer == CHANNEL:
            os.set_inheritable(answer, True)
        elif answer >= 0:
            os.dup2(answer, CHANNEL)
        limit(memory)
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == supervisor:
            os.execvp(command[0], command)
    except OSError as error:
        os.write(2, f"cannot run {command[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(127)


def read(path: str) -> str:
    """Return the text of a file under /proc, empty if the process has just ended."""
    try:
        with open(path) as file:  # noqa: PTH123 (pathlib would double the time to start)
            return file.read()
    except OSError:
        return ""


def descendants() -> list[int]:
    """Return every process below this one (as their subreaper it adopts orphans); empty where there is no /proc."""
    found, todo = list[int](), [os.getpid()]
    while todo:
        tasks = f"/proc/{todo.pop()}/task"
        try:
            threads = os.listdir(tasks)  # noqa: PTH208 (the same)
        except OSError:  # it has just ended
            continue
        below = [int(pid) for thread in threads for pid in read(f"{tasks}/{thread}/children").split()]
        found += below
        todo += below
    return found


def resident() -> int:
    """Return the resident memory of all descendants in MiB."""
    fields = (read(f"/proc/{pid}/statm").split() for pid in descendants())
    return sum(int(f[1]) for f in fields if f) * PAGE >> 20


def watch(pid: int, parent: int, deadline: float, memory: int) -> tuple[str, int, int, float]:
    """Wait until the command ends, reaches a limit, or is no longer wanted; return how it ended, its code, peak MiB, CPU seconds."""
    peak, poll = 0, 0.0005
    while True:
        done, status, usage = os.wait4(pid, os.WNOHANG)
        if done:
            peak = max(peak, usage.ru_maxrss >> (10 if LINUX else 20))
            cpu = usage.ru_utime + usage.ru_stime
            if os.WIFSIGNALED(status):
                return "signal", os.WTERMSIG(status), peak, cpu
            return "exit", os.WEXITSTATUS(status), peak, cpu
        if os.getppid() != parent or signal.sigpending() & POLITE:
            return "stopped", 0, peak, 0.0
        peak = max(peak, resident())
        if memory and peak >= memory:
            return "memory", 0, peak, 0.0
        left = deadline - time.monotonic()
        if left <= 0:
            return "timeout", 0, peak, 0.0
        time.sleep(min(poll, left))
        poll = min(1.5 * poll, SLOWEST_POLL)


def sweep(pid: int) -> None:
    """Kill the command and whatever it started, until nothing is left."""
    for _ in range(1000):
        for other in (-pid, *descendants()):  # a negative number means the group
            try:
                os.kill(other, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                continue
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                continue
        except ChildProcessError:
            return
        time.sleep(0.002)


def main(arguments: list[str]) -> None:
    report, answer, parent, seconds, memory = (*map(int, arguments[:3]), float(arguments[3]), int(arguments[4]))
    for own in (report, answer):
        if own >= 0:
            os.set_inheritable(own, False)
    began = time.monotonic()
    signal.pthread_sigmask(signal.SIG_SETMASK, POLITE)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # a parent that ignores it would hand that down
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    pid = start(arguments[5:], answer, memory)
    ended = watch(pid, parent, began + seconds, memory)
    sweep(pid)
    os.write(report, " ".join(map(str, ended)).encode())


if __name__ == "__main__":
    main(sys.argv[1:])
