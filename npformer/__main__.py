"""``python -m npformer``: the command."""

from npformer.cli import main

raise SystemExit(main())
