-- What was sent on a merged ticket knows that one, so that a split can give it back (domain/takes.py).
ALTER TABLE comments ADD COLUMN via TEXT;
ALTER TABLE attachments ADD COLUMN via TEXT;
