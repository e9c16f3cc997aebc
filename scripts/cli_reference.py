"""Print docs/reference/cli.md: `python scripts/cli_reference.py > docs/reference/cli.md`."""

from __future__ import annotations

import sys

from openflan.cli.reference import as_markdown

sys.stdout.write(as_markdown())
