package icp

import (
	"fmt"
	"slices"

	"github.com/coredns/coredns/core/dnsserver"
)

// answerers are the directives of CoreDNS that make, keep or alter answers, or
// what is asked.
var answerers = []string{
	"local", "dns64", "siit", "any", "chaos", "loadbalance", "tsig", "rewrite", "autopath", "cache", "header", "dnssec", "minimal",
	"template", "transfer", "dynupdate", "hosts", "route53", "azure", "clouddns", "k8s_external", "kubernetes", "file", "auto",
	"secondary", "etcd", "forward", "grpc", "erratic", "whoami", "nomad",
}

// checkOrder refuses a CoreDNS that was built with the directive below one that
// answers: what comes from there would reach the client without being looked at,
// and nothing would tell.
func checkOrder() error {
	place := slices.Index(dnsserver.Directives, name)
	for i, other := range dnsserver.Directives {
		if i < place && slices.Contains(answerers, other) {
			return fmt.Errorf("this CoreDNS was built with %s below %s, whose answers it would not see; put the line of %[1]s above that of local in plugin.cfg, and build again", name, other)
		}
	}
	return nil
}
