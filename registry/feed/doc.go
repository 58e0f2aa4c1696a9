// Package feed is how a registry service speaks with the edges that ask it.
//
//	client, err := feed.NewClient("https://registry.example", token)
//	thin, err := index.NewThin(index.ThinConfig{Source: client.Coverage, Now: time.Now})
//
//	mux.Handle("POST "+feed.CoveragePath, feed.CoverageHandler(live.View))
//
// An edge that holds no registry asks for coverages: those of several names in
// one request, as JSON. Whatever does not read as written here is an error as a
// whole: half an answer would be a wrong one.
//
// The package decides nothing, keeps nothing and knows no clients: who may ask
// is the service's to say.
package feed
