"""`make bench`: everything that is measured, one after the other."""

from bench import request, search, stampede

for part in (request, search, stampede):
    part.main()
    print()
