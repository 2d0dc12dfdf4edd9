-- People by one normal form of their address (domain/addresses.py), tokens without an address by their id.
CREATE TEMP TABLE renamed (old TEXT PRIMARY KEY, new TEXT NOT NULL);
INSERT INTO renamed SELECT who, normal_address(who) FROM (
  SELECT requester AS who FROM tickets UNION SELECT assignee FROM tickets UNION SELECT watcher FROM ticket_watchers
  UNION SELECT owner FROM catalogue WHERE kind = 'view'
) WHERE who <> normal_address(who);
UPDATE tokens SET email = normal_address(email) WHERE email IS NOT NULL;

-- A token without an address was meant by its name, which others may have. Where the name was always this one token's
-- as far as can be told, its tickets stay its own; other names stay what they are: words that give nobody a right.
-- `admin` means ADMIN_TOKEN, then as now.
CREATE TEMP TABLE named (name TEXT PRIMARY KEY, id TEXT NOT NULL, since TEXT NOT NULL, role TEXT NOT NULL);
INSERT INTO named SELECT name, 'token:' || id, created_at, role FROM tokens
  WHERE email IS NULL AND name <> 'admin' AND instr(name, '@') = 0 GROUP BY name HAVING count(*) = 1;
UPDATE tickets SET requester = (SELECT id FROM named WHERE name = requester)
  WHERE created_at >= (SELECT since FROM named WHERE name = requester);
UPDATE tickets SET assignee = (SELECT id FROM named WHERE name = assignee)
  WHERE assignee IN (SELECT name FROM named WHERE role <> 'requester');
INSERT OR IGNORE INTO renamed SELECT name, id FROM named WHERE role <> 'requester';

UPDATE tickets SET requester = (SELECT new FROM renamed WHERE old = requester)
  WHERE requester IN (SELECT old FROM renamed WHERE new NOT LIKE 'token:%');
UPDATE tickets SET assignee = (SELECT new FROM renamed WHERE old = assignee) WHERE assignee IN (SELECT old FROM renamed);

CREATE TEMP TABLE watched AS
  SELECT DISTINCT number FROM ticket_watchers WHERE watcher IN (SELECT old FROM renamed);
UPDATE tickets SET watchers = (
  SELECT json_group_array(who) FROM (
    SELECT coalesce((SELECT new FROM renamed WHERE old = value), value) AS who
    FROM json_each(tickets.watchers) GROUP BY who ORDER BY min(key)
  )
) WHERE number IN (SELECT number FROM watched);
DELETE FROM ticket_watchers WHERE number IN (SELECT number FROM watched);
INSERT INTO ticket_watchers SELECT value, number FROM tickets, json_each(tickets.watchers)
  WHERE number IN (SELECT number FROM watched);

-- Whoever has two spellings may have two views of one name: the second gets the end of its id behind it.
UPDATE OR IGNORE catalogue SET
  label = (SELECT new FROM renamed WHERE old = owner) || substr(label, length(owner) + 1),
  owner = (SELECT new FROM renamed WHERE old = owner)
  WHERE kind = 'view' AND owner IN (SELECT old FROM renamed);
UPDATE catalogue SET
  label = (SELECT new FROM renamed WHERE old = owner) || substr(label, length(owner) + 1) || ' ' || lower(substr(id, -6)),
  body = json_set(body, '$.name', substr(json_extract(body, '$.name'), 1, 90) || ' ' || substr(id, -6)),
  owner = (SELECT new FROM renamed WHERE old = owner)
  WHERE kind = 'view' AND owner IN (SELECT old FROM renamed);
UPDATE catalogue SET body = json_set(body, '$.assignee', normal_address(json_extract(body, '$.assignee')))
  WHERE kind = 'category' AND json_extract(body, '$.assignee') IS NOT NULL;

-- Who may remove a file of their own is told by this. Where a name was never an agent's on the ticket, and is one
-- token's, that is who sent it; where in doubt it is nobody's, and agents may remove it.
ALTER TABLE attachments ADD COLUMN uploader_id TEXT;
UPDATE attachments SET uploader_id = (SELECT coalesce(email, 'token:' || id) FROM tokens WHERE name = uploader)
  WHERE 1 = (SELECT count(*) FROM tokens WHERE name = uploader)
  AND created_at >= (SELECT created_at FROM tokens WHERE name = uploader)
  AND NOT EXISTS (
    SELECT 1 FROM events e
    WHERE e.ticket_id = attachments.ticket_id AND e.actor = uploader AND e.role <> 'requester'
  );
DROP TABLE renamed; DROP TABLE named; DROP TABLE watched
