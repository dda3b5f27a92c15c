"""`make bench`: everything that is measured, one after the other."""

from bench import calls, documents_preview, policies, request, search, stampede, token_check

for part in (calls, request, token_check, search, stampede, policies, documents_preview):
    part.main()
    print()
