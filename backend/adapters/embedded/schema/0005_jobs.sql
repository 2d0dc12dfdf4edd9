-- Work to be done beside the requests. `due_at` is when it may be taken next: a lease is a time that lies ahead.
CREATE TABLE jobs (
  id         TEXT PRIMARY KEY,
  kind       TEXT NOT NULL,
  body       TEXT NOT NULL,           -- JSON object
  created_at TEXT NOT NULL,
  due_at     TEXT NOT NULL,
  lease      TEXT,
  tries      INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX jobs_due ON jobs (due_at);

-- Figures are answered from these alone. Each begins with the time that a period is cut from, and ends with
-- deleted_at, which SQLite would else look up in each row, though it can only be null.
CREATE INDEX tickets_opened_figures ON tickets (created_at, team, category, assignee, first_responded_at, deleted_at)
  WHERE deleted_at IS NULL;
CREATE INDEX tickets_resolved_figures ON tickets (resolved_at, team, category, assignee, created_at, deleted_at)
  WHERE deleted_at IS NULL AND resolved_at IS NOT NULL;
CREATE INDEX tickets_backlog_figures ON tickets (severity, status, team, deleted_at)
  WHERE deleted_at IS NULL AND status IN ('open', 'in_progress', 'waiting');
CREATE INDEX tickets_answer_figures ON tickets (first_response_due_at, team, first_responded_at, deleted_at)
  WHERE deleted_at IS NULL AND first_response_due_at IS NOT NULL;
CREATE INDEX tickets_due_figures ON tickets (due_at, team, resolved_at, deleted_at)
  WHERE deleted_at IS NULL AND due_at IS NOT NULL;
