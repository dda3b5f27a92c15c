"""`make bench`: everything that is measured, one after the other."""

from bench import (
    approvals_latency,
    approvals_rush,
    calls,
    documents_history,
    documents_pdf,
    documents_preview,
    policies,
    request,
    search,
    stampede,
    streaming_click,
    token_check,
)

PARTS = (
    calls,
    request,
    token_check,
    search,
    stampede,
    streaming_click,
    policies,
    documents_preview,
    documents_pdf,
    documents_history,
    approvals_rush,
    approvals_latency,
)
for part in PARTS:
    part.main()
    print()
