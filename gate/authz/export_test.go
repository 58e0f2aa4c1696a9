package authz

// ParseAddr reads an address as proxies tell it.
var ParseAddr = parseAddr
