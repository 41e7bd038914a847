"""`python -m qspec` is the command `qspec`."""

from __future__ import annotations

import sys

from qspec.cli import main

sys.exit(main())
