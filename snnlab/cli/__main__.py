"""`python -m snnlab.cli`."""

import sys

from snnlab.cli import main

sys.exit(main())
