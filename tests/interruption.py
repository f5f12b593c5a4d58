"""Child processes that tests interrupt."""

import signal


def heed_interruption() -> None:
    """Before a child's exec: what a shell starts in the background ignores SIGINT, and so would all its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
