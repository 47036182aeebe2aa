"""``python -m vaezoo.cli``: the command without its script."""

import sys

from vaezoo.cli.main import main

sys.exit(main())
