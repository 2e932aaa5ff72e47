"""Migrations of the database (Alembic). See `regenerate.py` for how the initial one is written."""
