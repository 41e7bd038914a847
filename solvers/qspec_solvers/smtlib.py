"""Any executable that reads SMT-LIB 2, and the way all our SMT solvers are asked: a script on stdin, answers on a descriptor of their own.

An executable of the user's answers on stdout, since not all take `:regular-output-channel` (SMT-LIB 2.6, section 4.1.7).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from qspec.problem import Problem, SmtProblem
from qspec.solver import Answer, Availability, Limits, Reason
from qspec_solvers import availability
from qspec_solvers.process import CHANNEL, run
from qspec_solvers.reply import interpret

COMMAND_VARIABLE = "QSPEC_SMTLIB_COMMAND"
CHUNK = 500
"""Symbols per get-value."""
Channel = Literal["stdout", "worker", "option"]
"""Where answers come from: stdout, or the descriptor `CHANNEL`, of which our workers know and other executables are told by an option."""


@dataclass(frozen=True, slots=True)
class SmtLib:
    """Any executable that reads SMT-LIB 2 on stdin; its command comes from the constructor or from QSPEC_SMTLIB_COMMAND."""

    command: tuple[str, ...] = ()
    theories: tuple[str, ...] = ("QF_BV", "QF_LIA", "QF_NIA", "QF_LRA", "QF_NRA")
    name: str = "smtlib"
    cite: str = "C. Barrett, P. Fontaine, C. Tinelli. The SMT-LIB Standard: Version 2.6. 2017. https://smt-lib.org"

    def words(self) -> tuple[str, ...]:
        """Return the command as words; empty if there is none."""
        return availability.words(self.command, COMMAND_VARIABLE)

    def availability(self) -> Availability:
        return availability.command(self.words(), COMMAND_VARIABLE, "'z3 -in'")

    def solve(self, problem: Problem, limits: Limits) -> Answer:
        words = self.words()
        if not words:
            return Answer("unknown", reason=Reason.UNSUPPORTED, detail=f"{COMMAND_VARIABLE} is not set")
        return ask(words, problem, limits, self.theories, channel="stdout")


def ask(
    command: Sequence[str],
    problem: Problem,
    limits: Limits,
    theories: Sequence[str],
    *,
    check: str = "(check-sat)",
    channel: Channel = "worker",
) -> Answer:
    """Return what an SMT-LIB 2 executable says of a problem; `check` is the command that decides."""
    if not isinstance(problem, SmtProblem) or problem.theory not in theories:
        return Answer("unknown", reason=Reason.UNSUPPORTED, detail=f"it takes {', '.join(theories)}, not {problem.theory}")
    text = script(problem, check)
    if channel == "option":
        text = f'(set-option :regular-output-channel "/dev/fd/{CHANNEL}")\n{text}'
    return interpret(run(command, text, limits, channel=channel != "stdout"), problem.symbols, limits)


def script(problem: SmtProblem, check: str = "(check-sat)") -> str:
    """Return the whole script: options, the problem, the check, then one line of `get-value` for every `CHUNK` symbols."""
    names = [s.text for s in problem.symbols]
    values = [f"(get-value ({' '.join(names[k : k + CHUNK])}))\n" for k in range(0, len(names), CHUNK)]
    return "".join(("(set-option :produce-models true)\n", problem.text, f"\n{check}\n", *values, "(exit)\n"))
