"""What an alarm watches, as a line of the log that CloudWatch reads as a metric.

Reference: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
import sys
import time

from django.conf import settings


def stuck_approvals(number: int) -> None:
    """Say how many approvals hang, which the template's alarm hears of."""
    metric = {
        "Namespace": "Portico",
        "Dimensions": [["Table"]],
        "Metrics": [{"Name": "StuckApprovals", "Unit": "Count"}],
    }
    line = {
        "_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [metric]},
        "Table": settings.TABLES["approvals"],
        "StuckApprovals": number,
    }
    # Not through logging, whose lines begin with words: CloudWatch reads lines that are JSON.
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
