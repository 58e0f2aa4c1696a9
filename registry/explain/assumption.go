package explain

// Assumption is something that an explanation took for granted because nobody
// told it.
type Assumption uint8

// The assumptions.
const (
	// AssumedMainland: no address was given, so one in the mainland was taken.
	AssumedMainland Assumption = iota
	// AssumedOwn: nobody knows whose address it is, so it was taken as the provider's.
	AssumedOwn
	// AssumedForeign: nobody knows whose address it is, so a filing is enough.
	AssumedForeign
	// AssumedServer: nobody knows the product, so it was judged like a server.
	AssumedServer
	// AssumedNobody: no provider was given, so only a filing is asked for.
	AssumedNobody
	assumptionCount
)

var assumptionWords = [assumptionCount]string{
	"mainland-address", "own-address", "unknown-owner", "unknown-product", "no-provider",
}

// String returns the word of a, for example "mainland-address".
func (a Assumption) String() string {
	if a < assumptionCount {
		return assumptionWords[a]
	}
	return "invalid"
}

var assumptions = map[Assumption]entry{
	AssumedMainland: knob("",
		"No address was given: judged as if {host} pointed at a mainland address.",
		"未指定地址：按 {host} 指向中国内地地址判定。"),
	AssumedOwn: knob("",
		"Nobody knows whose address it is: judged as an address of {provider}, which may demand an access.",
		"地址归属的接入商未知：按接入商 {provider} 的地址判定，可能要求接入。"),
	AssumedForeign: knob("",
		"Nobody knows whose address it is: a filing with whichever provider is enough.",
		"地址归属的接入商未知：在任一接入商备案即可。"),
	AssumedServer: knob("",
		"Nobody knows the product at the address: judged like a server.",
		"地址上的产品未知：按服务器判定。"),
	AssumedNobody: knob("",
		"No provider was given: only a filing is asked for, never an access.",
		"未指定接入商：只核验是否备案，不核验接入。"),
}
