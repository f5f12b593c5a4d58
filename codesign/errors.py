"""The two ways a command can end badly; both carry one line for the user."""


class UserError(Exception):
    """The user's input is at fault (exit status 2): names the thing, the reason, and what would help."""


class CheckFailed(Exception):
    """A check did not hold (exit status 1): a mismatch, a budget exceeded, a rate out of reach."""
