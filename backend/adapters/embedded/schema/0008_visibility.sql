-- A file knows the comment it came with, and is internal where that is. Those of before are put right beside this, in
-- upgrade.py, by the rule of domain/visibility.py.
ALTER TABLE attachments ADD COLUMN comment_id TEXT;
ALTER TABLE attachments ADD COLUMN internal INTEGER NOT NULL DEFAULT 0;
