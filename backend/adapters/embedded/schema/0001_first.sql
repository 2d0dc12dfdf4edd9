-- Tickets with everything that hangs on them. `number` is the rowid, so the search index and every other index carry it.
CREATE TABLE tickets (
  number      INTEGER PRIMARY KEY AUTOINCREMENT,
  id          TEXT NOT NULL UNIQUE,
  title       TEXT NOT NULL,
  description TEXT NOT NULL,
  severity    TEXT NOT NULL,
  category    TEXT NOT NULL,
  status      TEXT NOT NULL,
  requester   TEXT NOT NULL,
  assignee    TEXT,
  team        TEXT,
  tags        TEXT NOT NULL,          -- JSON array
  resolution  TEXT,
  created_at  TEXT NOT NULL,
  updated_at  TEXT NOT NULL,
  resolved_at TEXT,
  version     INTEGER NOT NULL,
  deleted_at  TEXT
) STRICT;

-- One index a filter, each in the order of the usual list; what is in the trash is in none of them.
CREATE INDEX tickets_created   ON tickets (created_at)            WHERE deleted_at IS NULL;
CREATE INDEX tickets_updated   ON tickets (updated_at)            WHERE deleted_at IS NULL;
CREATE INDEX tickets_status    ON tickets (status, created_at)    WHERE deleted_at IS NULL;
CREATE INDEX tickets_severity  ON tickets (severity, created_at)  WHERE deleted_at IS NULL;
CREATE INDEX tickets_category  ON tickets (category, created_at)  WHERE deleted_at IS NULL;
CREATE INDEX tickets_requester ON tickets (requester, created_at) WHERE deleted_at IS NULL;
CREATE INDEX tickets_assignee  ON tickets (assignee, created_at)  WHERE deleted_at IS NULL AND assignee IS NOT NULL;
CREATE INDEX tickets_team      ON tickets (team, created_at)      WHERE deleted_at IS NULL AND team IS NOT NULL;
CREATE INDEX tickets_deleted   ON tickets (deleted_at)            WHERE deleted_at IS NOT NULL;

CREATE TABLE ticket_tags (
  tag    TEXT NOT NULL,
  number INTEGER NOT NULL REFERENCES tickets (number),
  PRIMARY KEY (tag, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX ticket_tags_number ON ticket_tags (number);

-- The text of tickets that are not in the trash: a search without a filter is answered by this index alone.
CREATE VIEW tickets_searched AS
  SELECT number, title, description, resolution FROM tickets WHERE deleted_at IS NULL;
CREATE VIRTUAL TABLE tickets_text USING fts5 (
  title, description, resolution,
  content = 'tickets_searched', content_rowid = 'number',
  tokenize = 'unicode61 remove_diacritics 2'
);
INSERT INTO tickets_text (tickets_text, rank) VALUES ('rank', 'bm25(4.0, 1.0, 1.0)');  -- a word in the title says more
CREATE TRIGGER tickets_text_add AFTER INSERT ON tickets WHEN new.deleted_at IS NULL BEGIN
  INSERT INTO tickets_text (rowid, title, description, resolution)
  VALUES (new.number, new.title, new.description, new.resolution);
END;
CREATE TRIGGER tickets_text_change AFTER UPDATE OF title, description, resolution, deleted_at ON tickets
WHEN old.title <> new.title OR old.description <> new.description OR old.resolution IS NOT new.resolution
  OR (old.deleted_at IS NULL) <> (new.deleted_at IS NULL)
BEGIN
  INSERT INTO tickets_text (tickets_text, rowid, title, description, resolution)
  SELECT 'delete', old.number, old.title, old.description, old.resolution WHERE old.deleted_at IS NULL;
  INSERT INTO tickets_text (rowid, title, description, resolution)
  SELECT new.number, new.title, new.description, new.resolution WHERE new.deleted_at IS NULL;
END;
CREATE TRIGGER tickets_text_remove AFTER DELETE ON tickets WHEN old.deleted_at IS NULL BEGIN
  INSERT INTO tickets_text (tickets_text, rowid, title, description, resolution)
  VALUES ('delete', old.number, old.title, old.description, old.resolution);
END;

CREATE TABLE comments (
  ticket_id  TEXT NOT NULL REFERENCES tickets (id),
  id         TEXT NOT NULL,
  author     TEXT NOT NULL,
  body       TEXT NOT NULL,
  internal   INTEGER NOT NULL,
  created_at TEXT NOT NULL,
  PRIMARY KEY (ticket_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE attachments (
  ticket_id    TEXT NOT NULL REFERENCES tickets (id),
  id           TEXT NOT NULL,
  key          TEXT NOT NULL UNIQUE,
  name         TEXT NOT NULL,
  content_type TEXT NOT NULL,
  size         INTEGER NOT NULL,
  sha256       TEXT NOT NULL,
  uploader     TEXT NOT NULL,
  created_at   TEXT NOT NULL,
  PRIMARY KEY (ticket_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
  ticket_id TEXT NOT NULL REFERENCES tickets (id),
  id        TEXT NOT NULL,
  at        TEXT NOT NULL,
  actor     TEXT NOT NULL,
  role      TEXT NOT NULL,
  kind      TEXT NOT NULL,
  changes   TEXT NOT NULL,            -- JSON object: field → [before, after]
  internal  INTEGER NOT NULL,
  PRIMARY KEY (ticket_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE tokens (
  id         TEXT PRIMARY KEY,
  hash       TEXT NOT NULL UNIQUE,
  name       TEXT NOT NULL,
  role       TEXT NOT NULL,
  email      TEXT,
  created_at TEXT NOT NULL,
  expires_at TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE receipts (
  key         TEXT PRIMARY KEY,
  fingerprint TEXT NOT NULL,
  answer      BLOB NOT NULL,
  expires_at  TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX receipts_expiry ON receipts (expires_at);

-- What the Markdown files in MEMORY_DIR say, to list and search them; made anew from the files at any start.
CREATE TABLE memories (
  rowid         INTEGER PRIMARY KEY,
  id            TEXT NOT NULL UNIQUE,
  title         TEXT NOT NULL,
  body          TEXT NOT NULL,
  category      TEXT,
  tags          TEXT NOT NULL,
  ticket_id     TEXT,
  ticket_number INTEGER,
  author        TEXT NOT NULL,
  created_at    TEXT NOT NULL,
  updated_at    TEXT NOT NULL,
  stamp         TEXT NOT NULL         -- size and time of the file that was read
) STRICT;
CREATE INDEX memories_created ON memories (created_at, id);
CREATE VIRTUAL TABLE memories_text USING fts5 (
  title, body,
  content = 'memories', content_rowid = 'rowid',
  tokenize = 'unicode61 remove_diacritics 2'
);
CREATE TRIGGER memories_text_add AFTER INSERT ON memories BEGIN
  INSERT INTO memories_text (rowid, title, body) VALUES (new.rowid, new.title, new.body);
END;
CREATE TRIGGER memories_text_change AFTER UPDATE ON memories BEGIN
  INSERT INTO memories_text (memories_text, rowid, title, body) VALUES ('delete', old.rowid, old.title, old.body);
  INSERT INTO memories_text (rowid, title, body) VALUES (new.rowid, new.title, new.body);
END;
CREATE TRIGGER memories_text_remove AFTER DELETE ON memories BEGIN
  INSERT INTO memories_text (memories_text, rowid, title, body) VALUES ('delete', old.rowid, old.title, old.body);
END;

-- One row that `/health` writes, to know that a write goes through.
CREATE TABLE probe (id INTEGER PRIMARY KEY CHECK (id = 1), at TEXT NOT NULL) STRICT;
INSERT INTO probe VALUES (1, '');
