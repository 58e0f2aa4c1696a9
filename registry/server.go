package registry

import "net/netip"

// Server is a provider's resource that answers for domains (服务器). The zero
// value is no server.
type Server struct {
	ID        string
	Provider  ProviderID
	Product   Product
	Region    string         // the provider's word, for example "cn-hangzhou"
	Place     Place          // where it is; PlaceUnknown: as the region tells
	Addresses []netip.Prefix // public addresses; a single one is a /32 or /128
	Account   string         // the account that owns it
	Quota     int            // service numbers that it may tie to filings in all
}

// ServiceNumberQuota returns how many service numbers (备案服务码) a server of a
// product has in its life: 5 for cloud and simple servers, 1 for a site-market
// product, 0 for what cannot be filed through. Source: A, table; B§5 (R59).
func ServiceNumberQuota(p Product) int {
	switch p {
	case ECS, SimpleServer:
		return 5
	case SiteBuilder, EnterpriseSite:
		return 1
	}
	return 0
}
