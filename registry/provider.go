package registry

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// ProviderID names a provider in data and configuration, for example "aliyun".
// The zero value is nobody: an edge without a provider only asks whether a name
// is filed, and an address without one belongs to an unknown owner.
type ProviderID string

// maxProviderID bounds an identifier so that an index can intern it in a byte
// count; no provider known to us needs half of it.
const maxProviderID = 64

// ParseProviderID checks an identifier: lower-case letters, digits, hyphen and
// dot, at most 64 bytes, with a letter or digit among them: "-" stands for nobody
// in many files. Upper case is lowered.
func ParseProviderID(s string) (ProviderID, error) {
	if s == "" {
		return "", fmt.Errorf("empty provider; expect an identifier such as \"aliyun\"")
	}
	if len(s) > maxProviderID {
		return "", fmt.Errorf("provider %q is longer than %d bytes", s, maxProviderID)
	}
	if strings.Trim(s, "-.") == "" {
		return "", fmt.Errorf("provider %q has no letter or digit; expect an identifier such as \"aliyun\"", s)
	}
	b := []byte(s)
	for i, c := range b {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '.':
		case 'A' <= c && c <= 'Z':
			b[i] = c + 'a' - 'A'
		default:
			r, _ := utf8.DecodeRuneInString(s[i:])
			return "", fmt.Errorf("provider %q holds %q; expect letters, digits, hyphen and dot", s, r)
		}
	}
	return ProviderID(b), nil
}

// The providers that the built-in product profiles and CNAME suffixes name.
const (
	Aliyun  ProviderID = "aliyun"
	Tencent ProviderID = "tencent"
	Huawei  ProviderID = "huawei"
)

// Provider is an access provider (接入商): who serves domains from the mainland
// and must block those that may not be served. The zero value is nobody.
type Provider struct {
	ID ProviderID
	// Name is what a page calls the provider, in English and Chinese. Optional:
	// the identifier stands in.
	Name, NameZH string
	// FilingURL is the provider's entrance for filings (备案入口), shown to site
	// owners. Optional.
	FilingURL string
}
