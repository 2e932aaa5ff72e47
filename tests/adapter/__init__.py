"""A tenant made through the adapter alone: what the adapter's tests on the real lab have in common.

`desk` is the tenant under work, `making` makes its usual parts, `cases` is the table of all kinds. The
fixtures `cloud`, `site` and `work` are in tests/conftest.py.
"""
