"""`python -m backend` for DynamoDB Local, which takes ten actions in a transaction and not the hundred of AWS.

A program of its own, so that it can be mounted into a container beside the backend.
"""

from backend.__main__ import main
from backend.adapters.aws import table
from backend.usecases import import_work

if __name__ == "__main__":
    table.MOST_ACTIONS = 10
    import_work.MOST_ADDED = 5  # rows of a table in one transaction, with their receipt
    raise SystemExit(main())
