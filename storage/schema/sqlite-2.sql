-- Version 2: what was appended to logs and is not in its place there yet
-- (storage/sqlite_fresh.h). A row may be in both; then this one is newer, or
-- they are the same.

CREATE TABLE fresh (
	rowid INTEGER PRIMARY KEY,
	rows BLOB NOT NULL -- of one commit: storage/sqlite_rows.h
);

-- What of an owner is in the rows of fresh up to this one is in its place, and
-- may have been changed or removed there.
CREATE TABLE settled (
	owner INTEGER PRIMARY KEY,
	upto INTEGER NOT NULL
);
