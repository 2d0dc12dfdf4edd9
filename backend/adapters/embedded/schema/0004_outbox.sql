-- How far the events have been made into messages for webhooks, and those messages.
CREATE TABLE outbox (id INTEGER PRIMARY KEY CHECK (id = 1), position INTEGER NOT NULL) STRICT;
INSERT INTO outbox VALUES (1, 0);

CREATE TABLE deliveries (
  id         TEXT PRIMARY KEY,
  webhook_id TEXT NOT NULL,
  kind       TEXT NOT NULL,
  position   INTEGER,                 -- of the event; none for a ping
  body       TEXT NOT NULL,           -- JSON, exactly as it is sent
  state      TEXT NOT NULL,           -- pending, delivered, dead
  attempts   INTEGER NOT NULL,
  due_at     TEXT NOT NULL,
  created_at TEXT NOT NULL,
  settled_at TEXT,
  status     INTEGER,
  problem    TEXT
) STRICT;
CREATE INDEX deliveries_webhook ON deliveries (webhook_id, id);
CREATE INDEX deliveries_state   ON deliveries (webhook_id, state, id);
CREATE INDEX deliveries_due     ON deliveries (webhook_id, due_at)    WHERE state = 'pending';
CREATE INDEX deliveries_settled ON deliveries (state, settled_at)     WHERE state <> 'pending';
