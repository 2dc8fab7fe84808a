"""The outbox: reports on the gate's disk until the back office has them. docs/reports.md.

`outbox.py` is ports.Outbox. `database.py` opens it, `rescue.py` saves what a damaged one holds, and
`rows.py` has the statements of SQL.
"""
