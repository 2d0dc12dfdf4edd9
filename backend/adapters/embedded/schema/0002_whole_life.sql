-- The whole life of a ticket: watchers, links, promised times; one order over all events; what administrators set up.
ALTER TABLE tickets ADD COLUMN watchers TEXT NOT NULL DEFAULT '[]';   -- JSON array
ALTER TABLE tickets ADD COLUMN links TEXT NOT NULL DEFAULT '[]';      -- JSON array of [kind, ticket id]
ALTER TABLE tickets ADD COLUMN first_response_due_at TEXT;
ALTER TABLE tickets ADD COLUMN first_responded_at TEXT;
ALTER TABLE tickets ADD COLUMN due_at TEXT;
ALTER TABLE tickets ADD COLUMN paused_at TEXT;
ALTER TABLE tickets ADD COLUMN promised_from TEXT;
CREATE INDEX tickets_due ON tickets (due_at) WHERE deleted_at IS NULL AND due_at IS NOT NULL;
CREATE INDEX tickets_resolved ON tickets (resolved_at) WHERE deleted_at IS NULL AND resolved_at IS NOT NULL;

CREATE TABLE ticket_watchers (
  watcher TEXT NOT NULL,
  number  INTEGER NOT NULL REFERENCES tickets (number),
  PRIMARY KEY (watcher, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX ticket_watchers_number ON ticket_watchers (number);

-- `seq` is given inside the one writer's transaction, so its order is the order of commits: a reader who has seen
-- N and asks for more than N misses nothing.
CREATE TABLE events_in_order (
  seq       INTEGER PRIMARY KEY AUTOINCREMENT,
  ticket_id TEXT NOT NULL REFERENCES tickets (id),
  id        TEXT NOT NULL,
  at        TEXT NOT NULL,
  actor     TEXT NOT NULL,
  role      TEXT NOT NULL,
  kind      TEXT NOT NULL,
  changes   TEXT NOT NULL,            -- JSON object: field → [before, after]
  internal  INTEGER NOT NULL
) STRICT;
INSERT INTO events_in_order (ticket_id, id, at, actor, role, kind, changes, internal)
  SELECT ticket_id, id, at, actor, role, kind, changes, internal FROM events ORDER BY id;
DROP TABLE events;
ALTER TABLE events_in_order RENAME TO events;
CREATE INDEX events_ticket ON events (ticket_id, seq);

ALTER TABLE tokens ADD COLUMN teams TEXT NOT NULL DEFAULT '[]';       -- JSON array
ALTER TABLE tokens ADD COLUMN rate_limit INTEGER;
ALTER TABLE tokens ADD COLUMN last_used_at TEXT;                       -- to the hour

-- People signed in on the page. `bond` is the hash of the token a session stands for.
CREATE TABLE sessions (
  hash       TEXT PRIMARY KEY,
  token_id   TEXT NOT NULL,
  bond       TEXT NOT NULL,
  created_at TEXT NOT NULL,
  used_at    TEXT NOT NULL,
  expires_at TEXT NOT NULL,
  ends_at    TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_expiry ON sessions (expires_at);

-- Small things that people set up: categories, teams, canned replies, views, promises, webhooks.
CREATE TABLE catalogue (
  kind       TEXT NOT NULL,
  id         TEXT NOT NULL,
  owner      TEXT,
  body       TEXT NOT NULL,           -- JSON object
  version    INTEGER NOT NULL,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  label      TEXT,                    -- what no other of its kind may have, such as a folded name
  PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX catalogue_label ON catalogue (kind, label) WHERE label IS NOT NULL;

CREATE TABLE audit (
  id       TEXT PRIMARY KEY,
  at       TEXT NOT NULL,
  actor    TEXT NOT NULL,
  token_id TEXT NOT NULL,
  action   TEXT NOT NULL,
  target   TEXT NOT NULL,
  details  TEXT NOT NULL              -- JSON object
) STRICT, WITHOUT ROWID;
CREATE INDEX audit_action ON audit (action, id);
CREATE INDEX audit_actor ON audit (actor, id);
