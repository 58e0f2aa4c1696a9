// Package feed is how a registry service speaks with the edges that ask it.
//
//	client, err := feed.NewClient("https://registry.example", token)
//	thin, err := index.NewThin(index.ThinConfig{Source: client.Coverage, Now: time.Now})
//
//	mux.Handle("POST "+feed.CoveragePath, feed.CoverageHandler(live.View, nil))
//
// An edge that holds no registry asks for coverages: those of several names in
// one request, as JSON. Whatever does not read as written here is an error as a
// whole: half an answer would be a wrong one.
//
// An edge that holds the registry fetches a snapshot, which a signed Manifest
// names by its checksums, and follows the Frames since: one a revision, each with
// its changes, a signature, and the digests of the registry after it, by which an
// edge sees that it holds what the registry holds. Beside filings and blacklist a
// registry has Lists: exemptions, networks and the other small tables.
//
// The package decides nothing and knows no clients: who may ask is the service's
// to say.
package feed
