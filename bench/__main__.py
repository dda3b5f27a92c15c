"""`make bench`: everything that is measured, one after the other."""

from bench import calls, policies, request, search, stampede, token_check

for part in (calls, request, token_check, search, stampede, policies):
    part.main()
    print()
