-- Version 1. Flags of a row are those of its kind (storage/store_kind.h):
-- 1 counted, 2 reverse, 4 due, 8 ref, 16 text, 32 peer.
-- Made already, to tell versions: meta (name text, value text).

CREATE SEQUENCE owners_id AS bigint START 2;
CREATE TABLE owners (
	id bigint PRIMARY KEY,
	host text COLLATE "C" NOT NULL,
	local text COLLATE "C" NOT NULL,
	state integer NOT NULL, -- 0 active, 1 disabled, 2 deleted
	made bigint NOT NULL -- microseconds since 1970, as all times
);
CREATE UNIQUE INDEX owners_name ON owners (host, local) WHERE state <> 2;
CREATE INDEX owners_deleted ON owners (id) WHERE state = 2;
INSERT INTO owners VALUES (1, '', '', 0, 0); -- the server itself

-- What the numbers of kinds mean, for people.
CREATE TABLE kinds (
	id integer PRIMARY KEY,
	name text NOT NULL UNIQUE,
	flags integer NOT NULL
);

CREATE TABLE maps (
	owner bigint NOT NULL,
	kind integer NOT NULL,
	flags integer NOT NULL,
	version bigint NOT NULL,
	key bytea NOT NULL,
	value bytea NOT NULL,
	PRIMARY KEY (owner, kind, key)
);
CREATE INDEX maps_reverse ON maps (kind, key, owner) WHERE (flags & 2) <> 0;

CREATE TABLE logs (
	owner bigint NOT NULL,
	id bigint NOT NULL,
	nonce bigint NOT NULL,
	time bigint NOT NULL,
	thread bigint NOT NULL, -- hash of the peer's bare JID; 0 when not 32
	kind integer NOT NULL,
	flags integer NOT NULL,
	peer bytea NOT NULL,
	ref bytea,
	value bytea NOT NULL,
	PRIMARY KEY (owner, kind, id)
);
CREATE UNIQUE INDEX logs_ref ON logs (owner, kind, ref, peer)
	WHERE ref IS NOT NULL;
CREATE INDEX logs_peer ON logs (owner, kind, thread, id)
	WHERE (flags & 32) <> 0;
CREATE INDEX logs_due ON logs (kind, time, id, owner) WHERE (flags & 4) <> 0;

CREATE TABLE words (
	owner bigint NOT NULL,
	kind integer NOT NULL,
	id bigint NOT NULL,
	words tsvector NOT NULL,
	PRIMARY KEY (owner, kind, id)
);
CREATE INDEX words_words ON words USING gin (words);
CREATE FUNCTION words_remove() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM words
	WHERE owner = old.owner AND kind = old.kind AND id = old.id;
	RETURN NULL;
END $$;
CREATE TRIGGER words_removed AFTER DELETE ON logs
FOR EACH ROW WHEN ((old.flags & 16) <> 0) EXECUTE FUNCTION words_remove();

-- Ends the transaction when a condition did not hold.
CREATE FUNCTION jackdaw_need(changed bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
	IF changed = 0 THEN
		RAISE EXCEPTION 'a condition does not hold'
		USING ERRCODE = 'JD001';
	END IF;
END $$;

CREATE TABLE counts (
	owner bigint NOT NULL,
	kind integer NOT NULL,
	count bigint NOT NULL,
	bytes bigint NOT NULL,
	PRIMARY KEY (owner, kind)
) WITH (fillfactor = 70);

CREATE FUNCTION counts_change(at_owner bigint, at_kind integer, more bigint,
	more_bytes bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	UPDATE counts SET count = count + more, bytes = bytes + more_bytes
	WHERE owner = at_owner AND kind = at_kind;
	IF NOT FOUND THEN
		INSERT INTO counts VALUES (at_owner, at_kind, more, more_bytes);
	END IF;
END $$;

CREATE FUNCTION maps_count() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF tg_op = 'INSERT' THEN
		PERFORM counts_change(new.owner, new.kind, 1,
			length(new.key) + length(new.value));
	ELSIF tg_op = 'DELETE' THEN
		PERFORM counts_change(old.owner, old.kind, -1,
			-length(old.key) - length(old.value));
	ELSE
		PERFORM counts_change(new.owner, new.kind, 0,
			length(new.value) - length(old.value));
	END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER maps_added AFTER INSERT OR UPDATE OF value ON maps
FOR EACH ROW WHEN ((new.flags & 1) <> 0) EXECUTE FUNCTION maps_count();
CREATE TRIGGER maps_removed AFTER DELETE ON maps
FOR EACH ROW WHEN ((old.flags & 1) <> 0) EXECUTE FUNCTION maps_count();

CREATE FUNCTION logs_count() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	bytes bigint := 0;
BEGIN
	IF tg_op <> 'INSERT' THEN
		bytes := -coalesce(length(old.ref), 0) - length(old.value);
	END IF;
	IF tg_op <> 'DELETE' THEN
		bytes := bytes + coalesce(length(new.ref), 0)
			+ length(new.value);
	END IF;
	IF tg_op = 'DELETE' THEN
		PERFORM counts_change(old.owner, old.kind, -1, bytes);
	ELSE
		PERFORM counts_change(new.owner, new.kind,
			CASE tg_op WHEN 'INSERT' THEN 1 ELSE 0 END, bytes);
	END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER logs_added AFTER INSERT OR UPDATE OF value ON logs
FOR EACH ROW WHEN ((new.flags & 1) <> 0) EXECUTE FUNCTION logs_count();
CREATE TRIGGER logs_removed AFTER DELETE ON logs
FOR EACH ROW WHEN ((old.flags & 1) <> 0) EXECUTE FUNCTION logs_count();
