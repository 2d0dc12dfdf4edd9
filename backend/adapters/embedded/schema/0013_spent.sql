-- What a person has spent of a day's quotas (domain/quotas.py).
CREATE TABLE spent (
    day TEXT NOT NULL,
    person TEXT NOT NULL,
    files INTEGER NOT NULL,
    size INTEGER NOT NULL,
    receipts INTEGER NOT NULL,
    PRIMARY KEY (day, person)
) WITHOUT ROWID;
