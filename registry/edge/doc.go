// Package edge is what every edge program assembles: the `icp { … }` block, the
// data it names, and the query that the rules are asked with.
//
//	cfg, err := edge.Parse(&controller.Dispenser, root)
//	e, err := edge.Open(cfg)
//	defer e.Close()
//
//	q := e.Query(host, registry.ChannelDNS)
//	v := registry.Decide(edge.At(q, e.Locate(addr), edge.Hints{}), e.Coverage(host.Name))
//
// The CoreDNS directive and the gate share it, so that a block means the same
// to both. Files are read when an Edge is opened and again when they change; a
// file that has gone bad leaves what it held before in force. Edges of one
// process that name the same file share what is read from it.
//
// What is blocked is told with Blocked: it is counted in Sightings and written to
// the block log, if there is one. Admin is the handler that shows what the Edges
// of the process know.
//
// The package withholds nothing, and writes no other log: what is done with a
// verdict is the program's business, and it is told of reloads through an
// Observer.
package edge
