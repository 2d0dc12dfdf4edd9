-- Search over folded words (see domain/folding.py): every index holds `fold_for_search` of what its rows say, which a
-- connection must know to write here. `reached` is how far an index is filled (NULL: to the end), and `folding` by which
-- rules; text_indexes.py fills them, step by step.
DROP TRIGGER tickets_text_add;
DROP TRIGGER tickets_text_change;
DROP TRIGGER tickets_text_remove;
DROP TRIGGER comments_text_add;
DROP TRIGGER comments_text_change;
DROP TRIGGER comments_text_remove;
DROP TRIGGER memories_text_add;
DROP TRIGGER memories_text_change;
DROP TRIGGER memories_text_remove;
DROP TABLE tickets_text;
DROP TABLE comments_text;
DROP TABLE notes_text;
DROP TABLE memories_text;
DROP VIEW tickets_searched;
DROP VIEW comments_public;
DROP VIEW comments_internal;

CREATE TABLE text_indexes (
  name    TEXT PRIMARY KEY,
  folding TEXT NOT NULL,
  reached INTEGER
) STRICT, WITHOUT ROWID;
INSERT INTO text_indexes VALUES
  ('tickets_text', '', 0), ('comments_text', '', 0), ('notes_text', '', 0), ('memories_text', '', 0);

CREATE VIEW tickets_searched AS
  SELECT number, fold_for_search(title) AS title, fold_for_search(description) AS description,
    fold_for_search(resolution) AS resolution
  FROM tickets WHERE deleted_at IS NULL;
CREATE VIRTUAL TABLE tickets_text USING fts5 (
  title, description, resolution,
  content = 'tickets_searched', content_rowid = 'number', prefix = '1 2', tokenize = 'ascii'
);
INSERT INTO tickets_text (tickets_text, rank) VALUES ('rank', 'bm25(4.0, 1.0, 1.0)');  -- a word in the title says more
CREATE TRIGGER tickets_text_add AFTER INSERT ON tickets WHEN new.deleted_at IS NULL BEGIN
  INSERT INTO tickets_text (rowid, title, description, resolution)
  VALUES (new.number, fold_for_search(new.title), fold_for_search(new.description), fold_for_search(new.resolution));
END;
CREATE TRIGGER tickets_text_change AFTER UPDATE OF title, description, resolution, deleted_at ON tickets
WHEN old.title <> new.title OR old.description <> new.description OR old.resolution IS NOT new.resolution
  OR (old.deleted_at IS NULL) <> (new.deleted_at IS NULL)
BEGIN
  INSERT INTO tickets_text (tickets_text, rowid, title, description, resolution)
  SELECT 'delete', old.number, fold_for_search(old.title), fold_for_search(old.description),
    fold_for_search(old.resolution) WHERE old.deleted_at IS NULL;
  INSERT INTO tickets_text (rowid, title, description, resolution)
  SELECT new.number, fold_for_search(new.title), fold_for_search(new.description), fold_for_search(new.resolution)
  WHERE new.deleted_at IS NULL;
END;
CREATE TRIGGER tickets_text_remove AFTER DELETE ON tickets WHEN old.deleted_at IS NULL BEGIN
  INSERT INTO tickets_text (tickets_text, rowid, title, description, resolution)
  VALUES ('delete', old.number, fold_for_search(old.title), fold_for_search(old.description),
    fold_for_search(old.resolution));
END;

CREATE VIEW comments_public AS SELECT seq, fold_for_search(body) AS body FROM comments WHERE NOT internal;
CREATE VIEW comments_internal AS SELECT seq, fold_for_search(body) AS body FROM comments WHERE internal;
CREATE VIRTUAL TABLE comments_text USING fts5 (
  body, content = 'comments_public', content_rowid = 'seq', prefix = '1 2', tokenize = 'ascii'
);
CREATE VIRTUAL TABLE notes_text USING fts5 (
  body, content = 'comments_internal', content_rowid = 'seq', prefix = '1 2', tokenize = 'ascii'
);
CREATE TRIGGER comments_text_add AFTER INSERT ON comments BEGIN
  INSERT INTO comments_text (rowid, body) SELECT new.seq, fold_for_search(new.body) WHERE NOT new.internal;
  INSERT INTO notes_text (rowid, body) SELECT new.seq, fold_for_search(new.body) WHERE new.internal;
END;
CREATE TRIGGER comments_text_change AFTER UPDATE OF body, internal ON comments BEGIN
  INSERT INTO comments_text (comments_text, rowid, body)
  SELECT 'delete', old.seq, fold_for_search(old.body) WHERE NOT old.internal;
  INSERT INTO notes_text (notes_text, rowid, body)
  SELECT 'delete', old.seq, fold_for_search(old.body) WHERE old.internal;
  INSERT INTO comments_text (rowid, body) SELECT new.seq, fold_for_search(new.body) WHERE NOT new.internal;
  INSERT INTO notes_text (rowid, body) SELECT new.seq, fold_for_search(new.body) WHERE new.internal;
END;
CREATE TRIGGER comments_text_remove AFTER DELETE ON comments BEGIN
  INSERT INTO comments_text (comments_text, rowid, body)
  SELECT 'delete', old.seq, fold_for_search(old.body) WHERE NOT old.internal;
  INSERT INTO notes_text (notes_text, rowid, body)
  SELECT 'delete', old.seq, fold_for_search(old.body) WHERE old.internal;
END;

CREATE VIEW memories_searched AS
  SELECT rowid AS key, fold_for_search(title) AS title, fold_for_search(body) AS body FROM memories;
CREATE VIRTUAL TABLE memories_text USING fts5 (
  title, body, content = 'memories_searched', content_rowid = 'key', tokenize = 'ascii'
);
CREATE TRIGGER memories_text_add AFTER INSERT ON memories BEGIN
  INSERT INTO memories_text (rowid, title, body)
  VALUES (new.rowid, fold_for_search(new.title), fold_for_search(new.body));
END;
CREATE TRIGGER memories_text_change AFTER UPDATE ON memories BEGIN
  INSERT INTO memories_text (memories_text, rowid, title, body)
  VALUES ('delete', old.rowid, fold_for_search(old.title), fold_for_search(old.body));
  INSERT INTO memories_text (rowid, title, body)
  VALUES (new.rowid, fold_for_search(new.title), fold_for_search(new.body));
END;
CREATE TRIGGER memories_text_remove AFTER DELETE ON memories BEGIN
  INSERT INTO memories_text (memories_text, rowid, title, body)
  VALUES ('delete', old.rowid, fold_for_search(old.title), fold_for_search(old.body));
END;
