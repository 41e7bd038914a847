"""The solvers of the contract, for differential tests too."""

from __future__ import annotations

from tests.contract.conftest import smtlib_command as smtlib_command
