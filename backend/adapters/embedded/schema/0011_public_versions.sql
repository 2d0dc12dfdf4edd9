-- What requesters are told of a ticket's changes, which stays where one is none of theirs, such as an internal note.
ALTER TABLE tickets ADD COLUMN public_version INTEGER NOT NULL DEFAULT 1;
ALTER TABLE tickets ADD COLUMN public_updated_at TEXT NOT NULL DEFAULT '';
UPDATE tickets SET public_version = version, public_updated_at = updated_at;
CREATE INDEX tickets_public_updated ON tickets (public_updated_at) WHERE deleted_at IS NULL;
