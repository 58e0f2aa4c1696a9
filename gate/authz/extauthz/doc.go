// Package extauthz is Envoy's external authorization over gRPC
// (envoy.service.auth.v3), for its HTTP filter and its network filter, and for
// Istio's CUSTOM action.
//
//	s := extauthz.New(extauthz.Config{Judge: judge, Pages: pages})
//	go s.Run()
//	s.Take(conn) // a connection of Envoy's, served until it ends
//	s.Drain()    // tells all, and waits for their end
//
// It reads checks and writes answers; a Judge decides. Who may connect is the
// caller's business, and so is how many.
package extauthz
