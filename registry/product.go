package registry

// Product is the kind of service that answers at an address (产品). The zero
// value is ProductUnknown, which is judged like a server.
type Product uint8

// The products of the rule book.
const (
	ProductUnknown Product = iota
	ECS                    // cloud server (云服务器)
	SimpleServer           // simple application server (轻量应用服务器)
	SLB                    // load balancer (负载均衡): judged like the servers behind it
	VHost                  // virtual host (云虚拟主机)
	SiteBuilder            // site builder (建站)
	EnterpriseSite         // enterprise site (企业官网)
	Storefront             // storefront (旺铺)
	OSS                    // object storage with a custom domain (对象存储)
	CDN                    // content delivery (内容分发)
	WAF                    // web application firewall (Web应用防火墙)
	AntiDDoS               // scrubbing address (DDoS高防)
	Mail                   // webmail on a custom domain (企业邮箱)
	productCount
)

var productWords = words{
	"unknown", "ecs", "simple-server", "slb", "vhost", "site-builder", "enterprise-site", "storefront",
	"oss", "cdn", "waf", "anti-ddos", "mail",
}

// ParseProduct reads the word of a product, as String writes it.
func ParseProduct(s string) (Product, error) {
	i, err := productWords.parse("product", s)
	return Product(i), err
}

// String returns the word of p, for example "simple-server".
func (p Product) String() string { return productWords.of(uint8(p)) }

// MarshalText writes the word of p.
func (p Product) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (p *Product) UnmarshalText(b []byte) (err error) {
	*p, err = ParseProduct(string(b))
	return err
}

// Acceleration is the region that a CDN customer has chosen (加速区域). The zero
// value is none or unknown, which leaves the address to decide.
type Acceleration uint8

// The acceleration regions.
const (
	AccelerationUnknown  Acceleration = iota
	MainlandAcceleration              // 仅中国内地
	GlobalAcceleration                // 全球
	OverseasAcceleration              // 中国港澳台及海外
)

var accelerationWords = words{"unknown", "mainland", "global", "overseas"}

// ParseAcceleration reads the word of an acceleration region.
func ParseAcceleration(s string) (Acceleration, error) {
	i, err := accelerationWords.parse("acceleration", s)
	return Acceleration(i), err
}

// String returns the word of a.
func (a Acceleration) String() string { return accelerationWords.of(uint8(a)) }

// MarshalText writes the word of a.
func (a Acceleration) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (a *Acceleration) UnmarshalText(b []byte) (err error) {
	*a, err = ParseAcceleration(string(b))
	return err
}

// Origin is where the origin server behind an edge product stands (源站). The
// zero value is unknown.
type Origin uint8

// The origins.
const (
	OriginUnknown   Origin = iota
	OriginHere             // on this provider's servers in the mainland
	OriginElsewhere        // on another provider's servers in the mainland
	OriginOverseas         // outside the mainland
)

var originWords = words{"unknown", "this-provider-mainland", "other-provider-mainland", "overseas"}

// ParseOrigin reads the word of an origin.
func ParseOrigin(s string) (Origin, error) {
	i, err := originWords.parse("origin", s)
	return Origin(i), err
}

// String returns the word of o.
func (o Origin) String() string { return originWords.of(uint8(o)) }

// MarshalText writes the word of o.
func (o Origin) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (o *Origin) UnmarshalText(b []byte) (err error) {
	*o, err = ParseOrigin(string(b))
	return err
}
