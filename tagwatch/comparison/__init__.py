"""What is stored against what was received: a row that somebody changed in the database does not follow from the raw log."""

from tagwatch.comparison.acts import compare_acts
from tagwatch.comparison.difference import Compared, Difference
from tagwatch.comparison.ledger import compare_ledger
from tagwatch.comparison.received import compare_received

__all__ = ["Compared", "Difference", "compare_acts", "compare_ledger", "compare_received"]
