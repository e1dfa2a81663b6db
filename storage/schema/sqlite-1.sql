-- Version 1. Flags of a row are those of its kind (storage/store_kind.h):
-- 1 counted, 2 reverse, 4 due, 8 ref, 16 text, 32 peer.

CREATE TABLE owners (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	host TEXT NOT NULL,
	local TEXT NOT NULL,
	state INTEGER NOT NULL, -- 0 active, 1 disabled, 2 deleted
	made INTEGER NOT NULL -- microseconds since 1970, as all times
);
CREATE UNIQUE INDEX owners_name ON owners (host, local) WHERE state <> 2;
CREATE INDEX owners_deleted ON owners (id) WHERE state = 2;
INSERT INTO owners VALUES (1, '', '', 0, 0); -- the server itself

-- What the numbers of kinds mean, for people.
CREATE TABLE kinds (
	id INTEGER PRIMARY KEY,
	name TEXT NOT NULL UNIQUE,
	flags INTEGER NOT NULL
);

CREATE TABLE maps (
	owner INTEGER NOT NULL,
	kind INTEGER NOT NULL,
	key BLOB NOT NULL,
	version INTEGER NOT NULL,
	flags INTEGER NOT NULL,
	value BLOB NOT NULL,
	PRIMARY KEY (owner, kind, key)
) WITHOUT ROWID;
CREATE INDEX maps_reverse ON maps (kind, key, owner) WHERE (flags & 2) <> 0;

-- Not clustered: rows are appended at random owners, which costs half of
-- what it does WITHOUT ROWID.
CREATE TABLE logs (
	rowid INTEGER PRIMARY KEY,
	owner INTEGER NOT NULL,
	kind INTEGER NOT NULL,
	id INTEGER NOT NULL,
	nonce INTEGER NOT NULL,
	time INTEGER NOT NULL,
	flags INTEGER NOT NULL,
	thread INTEGER NOT NULL, -- hash of the peer's bare JID; 0 when not 32
	peer BLOB NOT NULL,
	ref BLOB,
	value BLOB NOT NULL
);
CREATE UNIQUE INDEX logs_id ON logs (owner, kind, id);
CREATE UNIQUE INDEX logs_ref ON logs (owner, kind, ref, peer)
	WHERE ref IS NOT NULL;
CREATE INDEX logs_peer ON logs (owner, kind, thread, id)
	WHERE (flags & 32) <> 0;
CREATE INDEX logs_due ON logs (kind, time, id, owner) WHERE (flags & 4) <> 0;

CREATE VIRTUAL TABLE words USING fts5 (text);
CREATE TRIGGER words_removed AFTER DELETE ON logs WHEN (old.flags & 16) <> 0
BEGIN
	DELETE FROM words WHERE rowid = old.rowid;
END;

CREATE TABLE counts (
	owner INTEGER NOT NULL,
	kind INTEGER NOT NULL,
	count INTEGER NOT NULL,
	bytes INTEGER NOT NULL,
	PRIMARY KEY (owner, kind)
) WITHOUT ROWID;

CREATE TRIGGER maps_added AFTER INSERT ON maps WHEN (new.flags & 1) <> 0
BEGIN
	INSERT INTO counts VALUES (new.owner, new.kind, 1,
		length(new.key) + length(new.value))
	ON CONFLICT (owner, kind) DO UPDATE
	SET count = count + 1, bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER maps_changed AFTER UPDATE OF value ON maps
WHEN (new.flags & 1) <> 0
BEGIN
	UPDATE counts
	SET bytes = bytes + length(new.value) - length(old.value)
	WHERE owner = new.owner AND kind = new.kind;
END;
CREATE TRIGGER maps_removed AFTER DELETE ON maps WHEN (old.flags & 1) <> 0
BEGIN
	UPDATE counts
	SET count = count - 1,
		bytes = bytes - length(old.key) - length(old.value)
	WHERE owner = old.owner AND kind = old.kind;
END;

CREATE TRIGGER logs_added AFTER INSERT ON logs WHEN (new.flags & 1) <> 0
BEGIN
	INSERT INTO counts VALUES (new.owner, new.kind, 1,
		coalesce(length(new.ref), 0) + length(new.value))
	ON CONFLICT (owner, kind) DO UPDATE
	SET count = count + 1, bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER logs_changed AFTER UPDATE OF value ON logs
WHEN (new.flags & 1) <> 0
BEGIN
	UPDATE counts
	SET bytes = bytes + length(new.value) - length(old.value)
		+ coalesce(length(new.ref), 0) - coalesce(length(old.ref), 0)
	WHERE owner = new.owner AND kind = new.kind;
END;
CREATE TRIGGER logs_removed AFTER DELETE ON logs WHEN (old.flags & 1) <> 0
BEGIN
	UPDATE counts
	SET count = count - 1,
		bytes = bytes - coalesce(length(old.ref), 0) - length(old.value)
	WHERE owner = old.owner AND kind = old.kind;
END;
