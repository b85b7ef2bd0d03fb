-- Times and lengths of the rate limit are whole microseconds: comparing them is exact.

CREATE TABLE windows (
  key TEXT PRIMARY KEY,
  max_calls INTEGER NOT NULL,
  window_us INTEGER NOT NULL,
  calls INTEGER NOT NULL DEFAULT 0,
  hits INTEGER NOT NULL DEFAULT 0,
  wait_seconds REAL NOT NULL DEFAULT 0,
  fail_open INTEGER NOT NULL DEFAULT 0,
  mirror_turn_us INTEGER NOT NULL DEFAULT 0,
  mirrored INTEGER NOT NULL DEFAULT FALSE
) WITHOUT ROWID;

CREATE TABLE grants (
  key TEXT NOT NULL,
  granted_us INTEGER NOT NULL
);
CREATE INDEX grants_by_time ON grants (key, granted_us);

CREATE TABLE tickets (
  place INTEGER PRIMARY KEY,  -- the order of the first attempts
  key TEXT NOT NULL,
  ticket TEXT NOT NULL,
  lease_us INTEGER NOT NULL,
  UNIQUE (key, ticket)
);

CREATE TABLE pairs (
  place INTEGER PRIMARY KEY,
  dag_id TEXT NOT NULL,
  task_id TEXT NOT NULL,
  logs INTEGER NOT NULL DEFAULT 0,
  deferred INTEGER NOT NULL DEFAULT 0,
  altered INTEGER NOT NULL DEFAULT 0,
  rows INTEGER NOT NULL DEFAULT 0,
  null_ratio REAL,
  last_logged REAL,
  UNIQUE (dag_id, task_id)
);

CREATE TABLE failures (
  dag_id TEXT NOT NULL,
  task_id TEXT NOT NULL,
  reason TEXT NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY (dag_id, task_id, reason)
) WITHOUT ROWID;

CREATE TABLE durations (
  dag_id TEXT NOT NULL,
  bound REAL NOT NULL,  -- upper bound of the one bucket an observation falls into
  count INTEGER NOT NULL,
  seconds REAL NOT NULL,
  PRIMARY KEY (dag_id, bound)
) WITHOUT ROWID;

CREATE TABLE outbox (
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
CREATE INDEX outbox_waiting ON outbox (place) WHERE poison IS NULL;
