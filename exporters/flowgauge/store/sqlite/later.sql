-- What a store may have to be given that has all else.

-- Whose the grants are: a caller whose answer got lost asks again. Version 0.1 knows of no such table,
-- and its grants are nobody's.
CREATE TABLE IF NOT EXISTS granted (
  grant_id INTEGER PRIMARY KEY,  -- the rowid of a row of grants
  key TEXT NOT NULL,
  ticket TEXT NOT NULL,
  UNIQUE (key, ticket)
);

CREATE TRIGGER IF NOT EXISTS granted_no_more AFTER DELETE ON grants BEGIN
  DELETE FROM granted WHERE grant_id = old.rowid;
END;
