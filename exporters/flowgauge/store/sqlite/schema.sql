-- Times and lengths of the rate limit are whole microseconds: comparing them is exact.
-- The tables of windows and of the outbox are those of version 0.1, and shared with it.

CREATE TABLE IF NOT EXISTS windows (
  key TEXT PRIMARY KEY,
  max_calls INTEGER NOT NULL,
  window_us INTEGER NOT NULL,
  mirror_turn_us INTEGER NOT NULL DEFAULT 0,
  mirrored INTEGER NOT NULL DEFAULT FALSE
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS grants (
  key TEXT NOT NULL,
  granted_us INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS grants_by_time ON grants (key, granted_us);

CREATE TABLE IF NOT EXISTS tickets (
  place INTEGER PRIMARY KEY,  -- the order of the first attempts
  key TEXT NOT NULL,
  ticket TEXT NOT NULL,
  lease_us INTEGER NOT NULL,
  UNIQUE (key, ticket)
);

CREATE TABLE IF NOT EXISTS outbox (
  place INTEGER PRIMARY KEY AUTOINCREMENT,
  entry_id TEXT NOT NULL UNIQUE,
  dag_id TEXT NOT NULL,
  task_id TEXT NOT NULL,
  created REAL NOT NULL,
  body TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  poison TEXT,
  owner TEXT,
  leased_until REAL NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS outbox_waiting ON outbox (place) WHERE poison IS NULL;
-- How full the outbox is must be known without reading the payloads.
CREATE INDEX outbox_by_age ON outbox (created, place);
CREATE INDEX outbox_waiting_by_age ON outbox (created) WHERE poison IS NULL;
CREATE INDEX outbox_aside_by_age ON outbox (created) WHERE poison IS NOT NULL;
-- The size that an operator set, which goes before that of the code.
ALTER TABLE windows ADD COLUMN set_calls INTEGER;
ALTER TABLE windows ADD COLUMN set_window_us INTEGER;
ALTER TABLE outbox ADD COLUMN reason TEXT;
-- What to count should the first lease run out.
ALTER TABLE outbox ADD COLUMN lapsed TEXT;
-- The length of the last lease; none where version 0.1 leased the entry.
ALTER TABLE outbox ADD COLUMN lease REAL;
CREATE INDEX outbox_leased ON outbox (leased_until) WHERE leased_until > 0;

CREATE TABLE owners (
  id INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,
  place INTEGER NOT NULL,
  labels TEXT,  -- none where the owner is gone: the next that is new gets its place
  seen_us INTEGER NOT NULL DEFAULT 0,
  UNIQUE (kind, place),
  UNIQUE (kind, labels)
);
CREATE INDEX owners_gone ON owners (kind, place) WHERE labels IS NULL;

CREATE TABLE counts (
  owner INTEGER NOT NULL,
  field TEXT NOT NULL,
  value REAL NOT NULL,
  PRIMARY KEY (owner, field)
) WITHOUT ROWID;

-- Whose the grants are: a caller whose answer got lost asks again. Version 0.1 knows of no such table,
-- and its grants are nobody's.
CREATE TABLE granted (
  grant_id INTEGER PRIMARY KEY,  -- the rowid of a row of grants
  key TEXT NOT NULL,
  ticket TEXT NOT NULL,
  UNIQUE (key, ticket)
);
CREATE TRIGGER granted_no_more AFTER DELETE ON grants BEGIN
  DELETE FROM granted WHERE grant_id = old.rowid;
END;
