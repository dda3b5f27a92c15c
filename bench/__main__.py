"""`make bench`: everything that is measured, one after the other."""

from bench import (
    calls,
    documents_history,
    documents_pdf,
    documents_preview,
    policies,
    request,
    search,
    stampede,
    token_check,
)

PARTS = (calls, request, token_check, search, stampede, policies, documents_preview, documents_pdf, documents_history)
for part in PARTS:
    part.main()
    print()
