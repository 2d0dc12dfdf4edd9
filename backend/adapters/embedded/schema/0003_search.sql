-- Search, made fast for a million tickets. An index of one and two letters answers short prefixes without a merge of
-- every word that starts so.
DROP TABLE tickets_text;
CREATE VIRTUAL TABLE tickets_text USING fts5 (
  title, description, resolution,
  content = 'tickets_searched', content_rowid = 'number', prefix = '1 2',
  tokenize = 'unicode61 remove_diacritics 2'
);
INSERT INTO tickets_text (tickets_text, rank) VALUES ('rank', 'bm25(4.0, 1.0, 1.0)');  -- a word in the title says more
INSERT INTO tickets_text (tickets_text) VALUES ('rebuild');

-- What is worked on is listed by its last change and by its promised time, past all that is done with.
CREATE INDEX tickets_status_updated ON tickets (status, updated_at) WHERE deleted_at IS NULL;
CREATE INDEX tickets_status_due ON tickets (status, due_at) WHERE deleted_at IS NULL AND due_at IS NOT NULL;

-- Who asks for the tickets of a time in the order of their last change is answered without looking into the rows.
DROP INDEX tickets_updated;
CREATE INDEX tickets_updated ON tickets (updated_at, number, created_at) WHERE deleted_at IS NULL;

-- Comments. A text index needs a number a row; `seq` is only that.
CREATE TABLE comments_numbered (
  seq        INTEGER PRIMARY KEY,
  ticket_id  TEXT NOT NULL REFERENCES tickets (id),
  id         TEXT NOT NULL,
  author     TEXT NOT NULL,
  body       TEXT NOT NULL,
  internal   INTEGER NOT NULL,
  created_at TEXT NOT NULL
) STRICT;
INSERT INTO comments_numbered (ticket_id, id, author, body, internal, created_at)
  SELECT ticket_id, id, author, body, internal, created_at FROM comments ORDER BY id;
DROP TABLE comments;
ALTER TABLE comments_numbered RENAME TO comments;
CREATE UNIQUE INDEX comments_ticket ON comments (ticket_id, id);

-- Internal notes have an index of their own, which a requester's search never opens.
CREATE VIEW comments_public AS SELECT seq, body FROM comments WHERE NOT internal;
CREATE VIEW comments_internal AS SELECT seq, body FROM comments WHERE internal;
CREATE VIRTUAL TABLE comments_text USING fts5 (
  body, content = 'comments_public', content_rowid = 'seq', prefix = '1 2',
  tokenize = 'unicode61 remove_diacritics 2'
);
CREATE VIRTUAL TABLE notes_text USING fts5 (
  body, content = 'comments_internal', content_rowid = 'seq', prefix = '1 2',
  tokenize = 'unicode61 remove_diacritics 2'
);
INSERT INTO comments_text (comments_text) VALUES ('rebuild');
INSERT INTO notes_text (notes_text) VALUES ('rebuild');
CREATE TRIGGER comments_text_add AFTER INSERT ON comments BEGIN
  INSERT INTO comments_text (rowid, body) SELECT new.seq, new.body WHERE NOT new.internal;
  INSERT INTO notes_text (rowid, body) SELECT new.seq, new.body WHERE new.internal;
END;
CREATE TRIGGER comments_text_change AFTER UPDATE OF body, internal ON comments BEGIN
  INSERT INTO comments_text (comments_text, rowid, body) SELECT 'delete', old.seq, old.body WHERE NOT old.internal;
  INSERT INTO notes_text (notes_text, rowid, body) SELECT 'delete', old.seq, old.body WHERE old.internal;
  INSERT INTO comments_text (rowid, body) SELECT new.seq, new.body WHERE NOT new.internal;
  INSERT INTO notes_text (rowid, body) SELECT new.seq, new.body WHERE new.internal;
END;
CREATE TRIGGER comments_text_remove AFTER DELETE ON comments BEGIN
  INSERT INTO comments_text (comments_text, rowid, body) SELECT 'delete', old.seq, old.body WHERE NOT old.internal;
  INSERT INTO notes_text (notes_text, rowid, body) SELECT 'delete', old.seq, old.body WHERE old.internal;
END;

-- What a team learned is for that team.
ALTER TABLE memories ADD COLUMN team TEXT;
ALTER TABLE memories ADD COLUMN helpful INTEGER NOT NULL DEFAULT 0;
ALTER TABLE memories ADD COLUMN unhelpful INTEGER NOT NULL DEFAULT 0;
