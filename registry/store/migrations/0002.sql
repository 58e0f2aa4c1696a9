-- Where a server is, for providers whose regions do not tell it; empty: from the
-- region.
ALTER TABLE server ADD COLUMN place TEXT NOT NULL DEFAULT '';
