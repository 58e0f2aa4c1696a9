// Package store is the registry of record: all filings with their entities, sites,
// domains and accesses, servers and their service numbers, exemptions, the
// blacklist, and what else edges decide by, in SQLite or PostgreSQL.
//
//	s, err := store.Open(ctx, "registry.db", store.Options{Key: key})
//	…
//	rev, err := s.Edit(ctx, store.By{Who: "ann", Why: "order 17"}, func(e *store.Edit) error {
//		return e.PutFiling(filing)
//	})
//	for {
//		list, err := s.Changes(ctx, rev, 10_000) // what edges are told since
//		…
//		now, err := s.Wait(ctx, rev)
//	}
//
// # Revisions
//
// Every change is one transaction, which first takes the one row of table meta:
// so transactions that write wait for each other, and revisions are committed in
// the order of their numbers, without a gap. (Where an import fills an empty
// registry, one transaction holds several revisions.) The same transaction writes
// the tables, the log (revision, change) and the journal. What the log holds of a
// filing is, for each of its names, all filings under that name from then on, as
// registry.Change says; it is without personal data. Log and View agree: a View at
// a revision, and a View at an earlier one with the log applied, are the same.
//
// An epoch is one life of a registry: a restore, or a PostgreSQL server that was
// promoted, begins a new one with a new key for fingerprints. Revision numbers go
// on. Cursors of another epoch are gone (ErrGone).
//
// # Tables
//
// A site is a filing; its key is the site number, else its first domain with the
// kind, or its address. domain and access are its parts; entity holds what was
// last said of the one who filed. past holds what filings were, each state from
// the revision that made it to the one that ended it: with table revision, which
// says who and why, that is the journal of filings. Table journal holds the rest.
//
// # Personal data
//
// Names of individuals (and of entities of unknown nature, who may be some) stand
// in columns that are encrypted with Options.Key, which is not in the database;
// without a key they are not kept. Log, past and journal never hold them. Record
// and what Find returns do.
//
// # Databases
//
// SQLite has one writing connection with a write-ahead log and full
// synchronisation, and is held by one program at a time. PostgreSQL may serve
// several programs; one hears of another's revisions by asking for meta every 50
// milliseconds while somebody waits. There are no sequences, no triggers and no
// notifications: what speaks PostgreSQL's protocol should do. The schema is in
// migrations, numbered and forward only.
//
// The package does not read files of filings (see bulk), does not serve, and logs
// nothing.
package store
