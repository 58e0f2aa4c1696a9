// Package gate is icp-gate: it stands in front of web servers and judges every
// connection by the name that the client means, SNI and Host.
//
//	cfg, err := gate.Load("gate.conf")
//	g, err := gate.Start(cfg, gate.Options{Metrics: prometheus.NewRegistry()})
//	defer g.Close()
//	err = g.Shutdown(ctx) // drains
//
// TLS is passed through unopened, or ended here where the operator gives
// certificates. Of HTTP/1 every request is framed strictly and judged; bytes
// pass unchanged, long bodies by splice. What may not be served gets the notice,
// an alert, or nothing.
//
// The package decides nothing itself: heads are read by sniff, and verdicts are
// registry.Decide's. It keeps no registry; edge does. It is no cache, no load
// balancer for cookies or paths, and opens no connection to an address that the
// configuration does not name.
package gate
