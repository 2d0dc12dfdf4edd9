-- Requesters of tickets that were merged take part in the ticket that goes on; what was merged counts once in figures.
ALTER TABLE tickets ADD COLUMN participants TEXT NOT NULL DEFAULT '[]';  -- JSON array of [ticket id, address]
ALTER TABLE tickets ADD COLUMN merged INTEGER NOT NULL DEFAULT 0;

CREATE TABLE ticket_participants (
  participant TEXT NOT NULL,
  number      INTEGER NOT NULL REFERENCES tickets (number),
  PRIMARY KEY (participant, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX ticket_participants_number ON ticket_participants (number);

UPDATE tickets SET merged = 1 WHERE links LIKE '%"merged_into"%';
CREATE TEMP TABLE merges AS
  WITH RECURSIVE up (origin, address, id) AS (
    SELECT t.id, t.requester, json_extract(link.value, '$[1]') FROM tickets t, json_each(t.links) link
      WHERE t.merged AND json_extract(link.value, '$[0]') = 'merged_into'
    UNION
    SELECT up.origin, up.address, json_extract(link.value, '$[1]')
      FROM up JOIN tickets t ON t.id = up.id, json_each(t.links) link
      WHERE t.merged AND json_extract(link.value, '$[0]') = 'merged_into'
  )
  SELECT origin, address, id FROM up;
UPDATE tickets SET participants = (
  SELECT json_group_array(json_array(origin, address)) FROM merges WHERE merges.id = tickets.id
) WHERE id IN (SELECT id FROM merges);
INSERT INTO ticket_participants SELECT DISTINCT merges.address, t.number FROM merges JOIN tickets t ON t.id = merges.id;
DROP TABLE merges;

DROP INDEX tickets_opened_figures;
DROP INDEX tickets_resolved_figures;
DROP INDEX tickets_backlog_figures;
DROP INDEX tickets_answer_figures;
DROP INDEX tickets_due_figures;
CREATE INDEX tickets_opened_figures
  ON tickets (created_at, team, category, assignee, first_responded_at, deleted_at, merged)
  WHERE deleted_at IS NULL AND merged = 0;
CREATE INDEX tickets_resolved_figures ON tickets (resolved_at, team, category, assignee, created_at, deleted_at, merged)
  WHERE deleted_at IS NULL AND merged = 0 AND resolved_at IS NOT NULL;
CREATE INDEX tickets_backlog_figures ON tickets (severity, status, team, deleted_at, merged)
  WHERE deleted_at IS NULL AND merged = 0 AND status IN ('open', 'in_progress', 'waiting');
CREATE INDEX tickets_answer_figures ON tickets (first_response_due_at, team, first_responded_at, deleted_at, merged)
  WHERE deleted_at IS NULL AND merged = 0 AND first_response_due_at IS NOT NULL;
CREATE INDEX tickets_due_figures ON tickets (due_at, team, resolved_at, deleted_at, merged)
  WHERE deleted_at IS NULL AND merged = 0 AND due_at IS NOT NULL;
