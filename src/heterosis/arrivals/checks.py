"""What every arrival process asks of its arguments."""

from heterosis.terms.errors import UsageError


def need_positive(**figures: float) -> None:
    """Raise UsageError, naming the figures, where any is not above zero."""
    wrong = [f"{name} {value:g}" for name, value in figures.items() if not value > 0]
    if wrong:
        raise UsageError(f"a load needs a positive rate and duration (or count), got {', '.join(wrong)}")
