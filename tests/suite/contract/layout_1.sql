-- A file as the first version of the store left it. It stays as it is: such files are out there.
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
CREATE TABLE captchas (
    id          INTEGER PRIMARY KEY,
    client      TEXT NOT NULL,
    method      TEXT NOT NULL,
    uploaded_at INTEGER NOT NULL,
    solved_at   INTEGER,
    state       TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'solved', 'failed')),
    price       TEXT,
    report      TEXT CHECK (report IN ('good', 'bad')),
    answer      BLOB
) STRICT;
CREATE INDEX captchas_by_upload ON captchas (uploaded_at);

CREATE TABLE intents (
    id          INTEGER PRIMARY KEY,
    client      TEXT NOT NULL,
    method      TEXT NOT NULL,
    at          INTEGER NOT NULL,
    is_unknown  INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE pingbacks (
    client      TEXT NOT NULL,
    address     TEXT NOT NULL,
    PRIMARY KEY (client, address)
) STRICT, WITHOUT ROWID;

CREATE TABLE kept_values (
    name        TEXT PRIMARY KEY,
    value       TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE usage (
    day         INTEGER NOT NULL,
    client      TEXT NOT NULL,
    method      TEXT NOT NULL,
    uploads     INTEGER NOT NULL,
    solved      INTEGER NOT NULL,
    failed      INTEGER NOT NULL,
    unanswered  INTEGER NOT NULL,
    unknown     INTEGER NOT NULL,
    reported_good INTEGER NOT NULL,
    reported_bad  INTEGER NOT NULL,
    priced      INTEGER NOT NULL,
    cost        TEXT NOT NULL,
    solve_times TEXT NOT NULL,
    PRIMARY KEY (day, client, method)
) STRICT, WITHOUT ROWID;

INSERT INTO captchas (id, client, method, uploaded_at, solved_at, state, price, report, answer) VALUES
    (1, 'team-a', 'image', 1728043200000, 1728043209000, 'solved', '0.00085', 'good', CAST('Tx7k' AS BLOB)),
    (2, 'team-b', 'hcaptcha', 1728043200001, NULL, 'open', NULL, NULL, NULL);
INSERT INTO intents (id, client, method, at, is_unknown) VALUES (3, 'team-a', 'image', 1728043200002, 0);
INSERT INTO pingbacks (client, address) VALUES ('team-a', 'http://a.example');
INSERT INTO kept_values (name, value) VALUES ('budgets', '{}'), ('last_opened_by', '0.1.0');
INSERT INTO usage VALUES (19999, 'team-a', 'image', 10, 9, 1, 0, 0, 2, 1, 3, '0.003', '90:4 91:5');
PRAGMA application_id = 1667330151;
PRAGMA user_version = 1;
