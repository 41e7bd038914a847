"""What runs in the solver processes: each file is started by path, reads an SMT-LIB script on stdin and answers on stdout."""

from __future__ import annotations
