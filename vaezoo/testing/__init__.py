"""The conformance kit: what every variant, whoever wrote it, can be held against.

vaezoo.testing.check_variant("mine/skewed-vae")

@vaezoo.testing.parametrize_checks("mine/*")
def test_variant(check):
    check()
"""

from vaezoo.testing.catalogue import CHECKS
from vaezoo.testing.check import Check
from vaezoo.testing.report import ConformanceError, Failure, Report
from vaezoo.testing.run import check_variant, parametrize_checks
from vaezoo.testing.subject import Subject

__all__ = [
    "CHECKS",
    "Check",
    "ConformanceError",
    "Failure",
    "Report",
    "Subject",
    "check_variant",
    "parametrize_checks",
]
