-- One row: where the registry stands. Every transaction that changes something
-- updates it first, so that revisions are committed in their order.
CREATE TABLE meta (
	id           SMALLINT PRIMARY KEY CHECK (id = 1),
	epoch_made   BIGINT   NOT NULL,             -- Unix milliseconds
	epoch_random BIGINT   NOT NULL,             -- 64 bits, as signed
	rev          BIGINT   NOT NULL CHECK (rev >= 0),
	base         BIGINT   NOT NULL CHECK (base >= 0 AND base <= rev), -- changes after this revision are in the log
	last_id      BIGINT   NOT NULL,             -- the highest id that was given
	filings      BIGINT   NOT NULL,             -- rows of site
	snapshot_key BYTEA    NOT NULL,             -- of the fingerprints, 16 bytes; secret
	key_check    BYTEA,                         -- tells whether the key of personal data is the right one
	loading      TEXT,                          -- the import whose load has dropped indexes
	life         TEXT     NOT NULL DEFAULT ''   -- of the server: another one after it was promoted
);

CREATE TABLE revision (
	rev       BIGINT PRIMARY KEY,
	made_at   BIGINT NOT NULL,                  -- Unix milliseconds
	who       TEXT   NOT NULL,
	owner     TEXT   NOT NULL,
	why       TEXT   NOT NULL,
	import_id TEXT,
	flips     BIGINT NOT NULL                   -- of the confirmed import, for edges
);
CREATE INDEX revision_import ON revision (import_id) WHERE import_id IS NOT NULL;

CREATE TABLE change (
	rev  BIGINT   NOT NULL REFERENCES revision (rev),
	seq  BIGINT   NOT NULL,                     -- of the first operation in body
	body BYTEA    NOT NULL,
	PRIMARY KEY (rev, seq)
);

CREATE TABLE entity (
	number      TEXT     PRIMARY KEY CHECK (number <> ''),
	nature      SMALLINT NOT NULL,
	name        TEXT     NOT NULL,              -- empty where it is personal
	sealed_name BYTEA,                          -- personal, encrypted
	contact     BYTEA,                          -- personal, encrypted
	updated_at  BIGINT   NOT NULL,              -- Unix seconds, of what is believed; 0 is unknown
	listed_why  TEXT,                           -- on the blacklist, with all of its domains
	erased_at   BIGINT                          -- Unix milliseconds: personal data is not kept any more
); -- by key
CREATE INDEX entity_listed ON entity (number) WHERE listed_why IS NOT NULL;
CREATE INDEX entity_erased ON entity (number) WHERE erased_at IS NOT NULL;

CREATE TABLE site (
	id             BIGINT   PRIMARY KEY,
	key            TEXT     NOT NULL CONSTRAINT site_key UNIQUE,
	number         TEXT     NOT NULL,           -- empty where it is unknown
	kind           SMALLINT NOT NULL CHECK (kind >= 0),
	name           TEXT     NOT NULL,
	entity_number  TEXT     CONSTRAINT site_entity REFERENCES entity (number),
	entity_name    TEXT     NOT NULL,           -- as the filing states it; empty where it is personal
	sealed_name    BYTEA,
	nature         SMALLINT NOT NULL,
	status         SMALLINT NOT NULL CHECK (status >= 0),
	restricted     SMALLINT NOT NULL CHECK (restricted IN (0, 1)),
	accesses_known SMALLINT NOT NULL CHECK (accesses_known IN (0, 1)),
	filed_at       BIGINT,                      -- Unix seconds
	updated_at     BIGINT,                      -- Unix seconds
	addr           TEXT     CHECK ((addr IS NOT NULL) = (kind = 4)),
	filed_addr     TEXT,
	covers         TEXT     NOT NULL,           -- separated by spaces
	rev            BIGINT   NOT NULL,           -- that made it so
	facts          BYTEA    NOT NULL,           -- digest of all but the accesses
	accesses       BYTEA    NOT NULL            -- digest of the accesses
);
CREATE INDEX site_entity_number ON site (entity_number);
CREATE INDEX site_addr ON site (addr) WHERE addr IS NOT NULL;

CREATE TABLE domain (
	site_id BIGINT   NOT NULL CONSTRAINT domain_site REFERENCES site (id),
	pos     SMALLINT NOT NULL,
	name    TEXT     NOT NULL CHECK (name <> ''),
	gov     TEXT,                               -- the government registrable name that it is under
	PRIMARY KEY (site_id, pos)
); -- by key
CREATE INDEX domain_name ON domain (name);
CREATE INDEX domain_gov ON domain (gov) WHERE gov IS NOT NULL;

CREATE TABLE access (
	site_id  BIGINT   NOT NULL CONSTRAINT access_site REFERENCES site (id),
	provider TEXT     NOT NULL CHECK (provider <> ''),
	status   SMALLINT NOT NULL CHECK (status >= 0),
	at       BIGINT   NOT NULL,                 -- Unix seconds; 0 is unknown
	pos      SMALLINT NOT NULL,
	PRIMARY KEY (site_id, provider)
); -- by key

-- What filings were: each row a state that was in force from one revision until
-- another one ended it. Nothing of it is personal.
CREATE TABLE past (
	key   TEXT   NOT NULL,
	until BIGINT NOT NULL,
	since BIGINT NOT NULL,
	state BYTEA  NOT NULL,
	PRIMARY KEY (key, until)
); -- by key

CREATE TABLE past_name (                        -- under which names filings stood
	name TEXT NOT NULL,
	key  TEXT NOT NULL,
	PRIMARY KEY (name, key)
); -- by key

CREATE TABLE blacklist (
	name TEXT   PRIMARY KEY CHECK (name <> ''),
	why  TEXT   NOT NULL,
	rev  BIGINT NOT NULL
); -- by key

CREATE TABLE exemption (
	name      TEXT     PRIMARY KEY CHECK (name <> ''), -- NAME or *.NAME
	until     BIGINT   NOT NULL,                -- Unix seconds; 0 is never
	authority SMALLINT NOT NULL CHECK (authority IN (0, 1)),
	why       TEXT     NOT NULL,
	who       TEXT     NOT NULL,
	made_at   BIGINT   NOT NULL,                -- Unix milliseconds
	rev       BIGINT   NOT NULL
); -- by key

CREATE TABLE server (
	id       TEXT     PRIMARY KEY CHECK (id <> ''),
	provider TEXT     NOT NULL CHECK (provider <> ''),
	product  TEXT     NOT NULL,
	region   TEXT     NOT NULL,
	account  TEXT     NOT NULL,
	quota    BIGINT   NOT NULL CHECK (quota >= 0)
); -- by key

CREATE TABLE server_address (
	prefix    TEXT PRIMARY KEY,
	server_id TEXT NOT NULL REFERENCES server (id)
); -- by key
CREATE INDEX server_address_server ON server_address (server_id);

CREATE TABLE service_number (
	number    TEXT     PRIMARY KEY CHECK (number <> ''),
	server_id TEXT     NOT NULL REFERENCES server (id),
	state     SMALLINT NOT NULL CHECK (state IN (0, 1, 2)), -- free, given away, spent
	account   TEXT     NOT NULL,                -- whose it is
	filing    TEXT     NOT NULL,                -- the key of the filing that it was spent for
	CHECK ((state = 2) = (filing <> ''))
); -- by key
CREATE INDEX service_number_server ON service_number (server_id);

CREATE TABLE psb (
	number    TEXT   PRIMARY KEY CHECK (number <> ''),
	name      TEXT   NOT NULL,                  -- the domain
	filed_at  BIGINT                           -- Unix seconds
); -- by key
CREATE INDEX psb_name ON psb (name);

CREATE TABLE network (
	prefix   TEXT   PRIMARY KEY,
	provider TEXT   NOT NULL,
	product  TEXT   NOT NULL,
	region   TEXT   NOT NULL,
	place    TEXT   NOT NULL,                   -- empty: from the region
	rev      BIGINT NOT NULL
); -- by key

CREATE TABLE profile (
	provider    TEXT   NOT NULL CHECK (provider <> ''), -- or * for all others
	product     TEXT   NOT NULL CHECK (product <> ''),
	demand      TEXT   NOT NULL CHECK (demand IN ('access', 'filing')),
	origin_here TEXT   NOT NULL CHECK (origin_here IN ('', 'access', 'filing')),
	rev         BIGINT NOT NULL,
	PRIMARY KEY (provider, product)
); -- by key

CREATE TABLE binding (
	name         TEXT   PRIMARY KEY CHECK (name <> ''), -- NAME or *.NAME
	product      TEXT   NOT NULL,
	acceleration TEXT   NOT NULL,
	origin       TEXT   NOT NULL,
	rev          BIGINT NOT NULL
); -- by key

CREATE TABLE suffix (
	suffix   TEXT   PRIMARY KEY CHECK (suffix <> ''),
	provider TEXT   NOT NULL,
	product  TEXT   NOT NULL,
	rev      BIGINT NOT NULL
); -- by key

CREATE TABLE tld (
	name TEXT   PRIMARY KEY CHECK (name <> ''),
	rev  BIGINT NOT NULL
); -- by key

-- Who did what to everything but filings, whose past stands in past, and to what
-- makes no revision. Nothing of it is personal.
CREATE TABLE journal (
	id       BIGINT PRIMARY KEY,
	made_at  BIGINT NOT NULL,                   -- Unix milliseconds
	rev      BIGINT,                            -- the revision that it is part of
	who      TEXT   NOT NULL,
	owner    TEXT   NOT NULL,
	why      TEXT   NOT NULL,
	what     TEXT   NOT NULL,
	key      TEXT   NOT NULL,
	was      TEXT   NOT NULL,                   -- JSON, empty for nothing
	becomes  TEXT   NOT NULL
);
CREATE INDEX journal_key ON journal (key);
CREATE INDEX journal_rev ON journal (rev) WHERE rev IS NOT NULL;

CREATE TABLE person (                           -- a user
	name    TEXT     PRIMARY KEY CHECK (name <> ''),
	secret  TEXT     NOT NULL,                  -- hash of the password; empty: none
	roles   TEXT     NOT NULL,
	made_at BIGINT   NOT NULL,
	ended   BIGINT
); -- by key

CREATE TABLE token (
	id         TEXT   PRIMARY KEY CHECK (id <> ''),
	hash       BYTEA  NOT NULL CONSTRAINT token_hash UNIQUE,
	owner      TEXT   NOT NULL CHECK (owner <> ''),
	note       TEXT   NOT NULL,
	scopes     TEXT   NOT NULL CHECK (scopes <> ''),
	made_at    BIGINT NOT NULL,                 -- Unix milliseconds
	until      BIGINT NOT NULL,                 -- Unix milliseconds; 0 is never
	revoked_at BIGINT,
	used_at    BIGINT
); -- by key
CREATE INDEX token_owner ON token (owner);

CREATE TABLE sighting (
	id         TEXT   PRIMARY KEY,              -- of name, address, reason and channel
	name       TEXT   NOT NULL,
	addr       TEXT   NOT NULL,                 -- empty: none
	reason     TEXT   NOT NULL,
	channel    TEXT   NOT NULL,
	mode       TEXT   NOT NULL,                 -- of the last
	first_seen BIGINT NOT NULL,                 -- Unix seconds
	last_seen  BIGINT NOT NULL,
	hits       BIGINT NOT NULL CHECK (hits >= 0),
	state      TEXT   NOT NULL CHECK (state IN ('open', 'notified', 'filed-since', 'closed')),
	state_who  TEXT   NOT NULL,
	state_at   BIGINT,                          -- Unix milliseconds
	state_note TEXT   NOT NULL
); -- by key
CREATE INDEX sighting_last ON sighting (last_seen);
CREATE INDEX sighting_state ON sighting (state, last_seen);
CREATE INDEX sighting_name ON sighting (name);

CREATE TABLE sighting_host (                    -- up to ten hosts of each
	sighting_id TEXT NOT NULL REFERENCES sighting (id),
	host        TEXT NOT NULL,
	PRIMARY KEY (sighting_id, host)
); -- by key

CREATE TABLE batch (                            -- what edges have handed over
	edge    TEXT   NOT NULL,
	boot    TEXT   NOT NULL,
	seq     BIGINT NOT NULL,
	made_at BIGINT NOT NULL,                    -- Unix milliseconds
	row_count BIGINT NOT NULL,
	other   BIGINT NOT NULL,                    -- hits without a row
	PRIMARY KEY (edge, boot, seq)
); -- by key
CREATE INDEX batch_made ON batch (made_at);

CREATE TABLE import (
	id         TEXT     PRIMARY KEY,
	node       TEXT     NOT NULL,               -- the program that stages it
	made_at    BIGINT   NOT NULL,               -- Unix milliseconds
	who        TEXT     NOT NULL,
	owner      TEXT     NOT NULL,
	why        TEXT     NOT NULL,
	source     TEXT     NOT NULL,
	options    TEXT     NOT NULL,               -- JSON
	state      TEXT     NOT NULL CHECK (state IN ('staging', 'staged', 'waiting', 'publishing', 'done', 'dropped')),
	base       BIGINT   NOT NULL,               -- the revision that it was compared with
	counts     TEXT     NOT NULL,               -- JSON
	chunks     BIGINT   NOT NULL,
	done       BIGINT   NOT NULL CHECK (done <= chunks), -- chunks that are published
	first_rev  BIGINT,
	last_rev   BIGINT,
	confirmed_who   TEXT NOT NULL,
	confirmed_owner TEXT NOT NULL,
	undoes     TEXT     NOT NULL                -- the import that it takes back
); -- by key
CREATE INDEX import_made ON import (made_at);

CREATE TABLE staged (
	import_id TEXT   NOT NULL REFERENCES import (id),
	seq       BIGINT NOT NULL,
	body      BYTEA  NOT NULL,
	PRIMARY KEY (import_id, seq)
);

-- Programs that have the database open.
CREATE TABLE node (
	id     TEXT   PRIMARY KEY,
	what   TEXT   NOT NULL,
	until  BIGINT NOT NULL                      -- Unix milliseconds
); -- by key
