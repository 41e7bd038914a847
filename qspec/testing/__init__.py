"""Test a solver against everything that qspec has: the contract that every adapter keeps, the built-in ones and those of third parties.

from qspec.testing import check_solver, check_solver_behaviour

def test_my_solver():
    check_solver(MySolver())
    check_solver_behaviour(MySolver())
"""

from __future__ import annotations

from qspec.testing.behaviour import check_solver_behaviour as check_solver_behaviour
from qspec.testing.check import ExampleOutcome as ExampleOutcome
from qspec.testing.check import Excuse as Excuse
from qspec.testing.check import Lack as Lack
from qspec.testing.check import check_solver as check_solver
from qspec.testing.check import run_example as run_example
from qspec.testing.check import theories_to_check as theories_to_check
from qspec.testing.example import Example as Example
from qspec.testing.example import Mark as Mark
from qspec.testing.examples import EXAMPLES as EXAMPLES
from qspec.testing.exhaustive import Census as Census
from qspec.testing.exhaustive import census as census
