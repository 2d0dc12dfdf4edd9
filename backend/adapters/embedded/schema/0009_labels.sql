-- How tags, categories and teams are spelled: those that fold alike are one, as the record or else the oldest ticket
-- that has it says. `folded` is Python's (domain/text.py).
CREATE TABLE labels (
  kind   TEXT NOT NULL,               -- category, team, tag
  fold   TEXT NOT NULL,
  name   TEXT NOT NULL,
  others TEXT NOT NULL,               -- JSON array: what tickets may have besides
  PRIMARY KEY (kind, fold)
) STRICT, WITHOUT ROWID;

CREATE TEMP TABLE spellings AS
  SELECT kind, fold, name, row_number() OVER (PARTITION BY kind, fold ORDER BY first, name) AS place FROM (
    SELECT kind, folded(name) AS fold, name, min(first) AS first FROM (
      SELECT kind, json_extract(body, '$.name') AS name, '0' || id AS first FROM catalogue
        WHERE kind IN ('category', 'team')
      UNION ALL
      SELECT 'category', category, '1' || printf('%015d', min(number)) FROM tickets GROUP BY category
      UNION ALL
      SELECT 'team', team, '1' || printf('%015d', min(number)) FROM tickets WHERE team IS NOT NULL GROUP BY team
      UNION ALL
      SELECT 'tag', tag, '1' || printf('%015d', min(number)) FROM ticket_tags
        WHERE substr(tag, 1, 9) <> 'external:' GROUP BY tag
    ) GROUP BY kind, name
  );
CREATE INDEX temp.spellings_fold ON spellings (kind, fold, place);
CREATE INDEX temp.spellings_name ON spellings (kind, name);
INSERT INTO labels SELECT kind, fold, name, '[]' FROM spellings WHERE place = 1;

UPDATE tickets SET category = (
  SELECT name FROM spellings WHERE kind = 'category' AND fold = folded(tickets.category) AND place = 1
) WHERE category IN (SELECT name FROM spellings WHERE kind = 'category' AND place > 1);
UPDATE tickets SET team = (
  SELECT name FROM spellings WHERE kind = 'team' AND fold = folded(tickets.team) AND place = 1
) WHERE team IN (SELECT name FROM spellings WHERE kind = 'team' AND place > 1);
UPDATE tickets SET tags = (
  SELECT json_group_array(name) FROM (
    SELECT coalesce(s.name, old.value) AS name, min(old.key) AS place FROM json_each(tickets.tags) old
      LEFT JOIN spellings s ON s.kind = 'tag' AND s.place = 1 AND s.fold = folded(old.value)
        AND substr(old.value, 1, 9) <> 'external:'
      GROUP BY 1 ORDER BY 2
  )
) WHERE number IN (
  SELECT number FROM ticket_tags WHERE tag IN (SELECT name FROM spellings WHERE kind = 'tag' AND place > 1)
);
INSERT OR IGNORE INTO ticket_tags (tag, number)
  SELECT first.name, w.number FROM spellings other
    JOIN spellings first ON first.kind = 'tag' AND first.fold = other.fold AND first.place = 1
    JOIN ticket_tags w ON w.tag = other.name
    WHERE other.kind = 'tag' AND other.place > 1;
DELETE FROM ticket_tags WHERE tag IN (SELECT name FROM spellings WHERE kind = 'tag' AND place > 1);
DROP TABLE spellings;
