"""Flags of a fix: why it carries no weight in a decision, or what a reader should know. A flagged fix is kept and shown."""

IMPLAUSIBLE = 1
"""No path at a plausible speed joins it with the fixes before it."""
CONTRADICTORY = 2
"""Another fix of the same device and instant says something else, beyond both errors."""
CLOCK_WRONG = 4
"""Its time is more than five minutes after it was received."""
SET_ASIDE = 8
"""Another fix of the same device and instant agrees and is more accurate; that one is used."""
SAME_TIME = 16
"""Shares device and instant with a fix of other content. Informs only."""
OVERCONFIDENT = 32
"""Reports an accuracy better than its source can have. Informs only."""

WEIGHTLESS = IMPLAUSIBLE | CONTRADICTORY | CLOCK_WRONG | SET_ASIDE
"""A fix with any of these raises, clears, places and excludes nothing."""

STRAY = IMPLAUSIBLE | CONTRADICTORY
"""A fix with any of these says where its wearer was, and another says otherwise: it may yet be the right one."""

FLAG_NAMES = {
    IMPLAUSIBLE: "implausible",
    CONTRADICTORY: "contradictory",
    CLOCK_WRONG: "clock wrong",
    SET_ASIDE: "set aside",
    SAME_TIME: "same time",
    OVERCONFIDENT: "over-confident accuracy",
}


def flag_names(flags: int) -> list[str]:
    """The names of the flags that are set, in the order of their bits."""
    return [name for bit, name in FLAG_NAMES.items() if int(flags) & bit]
